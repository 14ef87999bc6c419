"""An acquirer: sends the requests of a workload and checks every answer, element by element.

Keeps up to 50 requests in flight; a repeat (an MTI that ends in an odd digit) waits until all before it are
answered. Ends with 0 when everything was answered as the workload says.
"""

import argparse
import socket
import sys

import wording

IN_FLIGHT_MAX = 50


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--connect", required=True)
    arguments.add_argument("--dialect", choices=sorted(wording.SPECS), required=True)
    arguments.add_argument("--framing", choices=["binary2", "ascii4-inclusive"], required=True)
    arguments.add_argument("--workload", required=True)
    options = arguments.parse_args()

    host, port = options.connect.rsplit(":", 1)
    stream = socket.create_connection((host, int(port)), timeout=30)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire = wording.Wire(stream, options.dialect, options.framing)
    waiting, checked, faults = {}, 0, []

    def settle(until):
        nonlocal checked
        while len(waiting) > until:
            answer = wire.receive()
            if answer is None:
                sys.exit(f"closed with {len(waiting)} requests unanswered")
            expected, exact = waiting.pop(answer["11"], (None, None))
            if expected is None:
                faults.append(f"{answer['t']} with DE 11 {answer['11']}: nobody asked")
                continue
            checked += 1
            wrong = wording.differences(answer, expected, exact)
            if wrong:
                faults.append(f"DE 11 {answer['11']}: {', '.join(wrong)}")

    for request, _, expected, exact in wording.script(options.workload):
        is_repeat = int(request["t"][3]) % 2 == 1
        settle(0 if is_repeat else IN_FLIGHT_MAX - 1)
        waiting[request["11"]] = (expected, exact)
        wire.send(request)
    settle(0)

    for fault in faults[:20]:
        print(fault, file=sys.stderr)
    print(f"checked {checked} faults {len(faults)}")
    sys.exit(1 if faults or checked == 0 else 0)


if __name__ == "__main__":
    main()
