"""A small ISO 8583 host as somebody else would write it: pyiso8583 with its own ASCII specification, messages behind two
bytes of length, a thread for each connection. It knows nothing of this project.

Prints the port it listens on; serves until its standard input ends; then tells what it saw.
"""

import collections
import socket
import struct
import sys
import threading

import iso8583
from iso8583.specs import default_ascii as spec

seen = collections.Counter()
lock = threading.Lock()


def luhn(pan):
    digits = [int(digit) for digit in reversed(pan)]
    return sum(digits[0::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])


def answer(request):
    """Approves what has a right check digit, and acknowledges everything that is no payment."""
    echoed = ("2", "3", "4", "7", "11", "12", "13", "32", "37", "41", "42", "49", "70", "90")
    response = {de: request[de] for de in echoed if de in request}
    response["t"] = request["t"][:2] + str(int(request["t"][2]) + 1) + "0"
    good = request["t"][1] not in "12" or luhn(request["2"]) % 10 == 0
    response["39"] = "00" if good else "14"
    if good and request["t"][1] in "12":
        response["38"] = "PY0001"
    return response


def exactly(stream, count):
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            return None
        data += more
    return data


def serve(stream):
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while (head := exactly(stream, 2)) is not None:
        request, _ = iso8583.decode(exactly(stream, struct.unpack(">H", head)[0]), spec)
        with lock:
            seen[request["t"]] += 1
        raw, _ = iso8583.encode(answer(request), spec)
        stream.sendall(struct.pack(">H", len(raw)) + raw)


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening {listener.getsockname()[1]}", flush=True)

    def accept():
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=serve, args=(stream,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()
    with lock:
        print(" ".join(f"{mti}={count}" for mti, count in sorted(seen.items())), flush=True)


main()
