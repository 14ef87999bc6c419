"""An issuer: checks every request against the workload, element by element, and answers as it says.

Prints the port it listens on; serves until its standard input ends; then tells what it saw and ends with 0
when every request was the one expected.
"""

import argparse
import socket
import sys
import threading

import wording


class Issuer:
    def __init__(self, options):
        self.options = options
        self.answers = {}
        for request, answer, _, _ in wording.script(options.workload):
            if answer is not None and int(request["t"][3]) % 2 == 0:
                self.answers[request["37"]] = (request, answer)
        self.lock = threading.Lock()
        self.seen = 0
        self.faults = []

    def serve(self, stream):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = wording.Wire(stream, self.options.dialect, self.options.framing)
        while True:
            try:
                request = wire.receive()
            except Exception as why:  # whatever it is, it is the other side's doing and must be told
                return self.fault(f"unreadable: {type(why).__name__}: {why}")
            if request is None:
                return None
            if request["t"] == "0800":
                wire.send({"t": "0810", "39": "00", **{de: request[de] for de in ("7", "11", "70")}})
                continue
            wire.send(self.answer(request))

    def answer(self, request):
        expected, answer = self.answers.get(request.get("37"), (None, None))
        with self.lock:
            self.seen += 1
        if expected is None:
            self.fault(f"{request['t']} with DE 37 {request.get('37')}: not in the workload")
            return {"t": "0110", "39": "96", **{de: request[de] for de in ("7", "11")}}
        # The trace number is the switch's own.
        wrong = wording.differences(request, {**expected, "11": request["11"]}, exact=True)
        if wrong:
            self.fault(f"DE 37 {request['37']}: {', '.join(wrong)}")
        return {**answer, "11": request["11"]}

    def fault(self, text):
        with self.lock:
            self.faults.append(text)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--dialect", choices=sorted(wording.SPECS), required=True)
    arguments.add_argument("--framing", choices=["binary2", "ascii4-inclusive"], required=True)
    arguments.add_argument("--workload", required=True)
    issuer = Issuer(arguments.parse_args())

    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening {listener.getsockname()[1]}", flush=True)

    def accept():
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=issuer.serve, args=(stream,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()
    with issuer.lock:
        for fault in issuer.faults[:20]:
            print(fault, file=sys.stderr)
        print(f"seen {issuer.seen} faults {len(issuer.faults)}", flush=True)
        sys.exit(1 if issuer.faults or issuer.seen == 0 else 0)


if __name__ == "__main__":
    main()
