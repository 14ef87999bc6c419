"""Messages as the workload file writes them, in the two dialects and the framings that the peers speak.

A message is a line such as ``0100 2=9999600000000019 4=000000001000 43="CORNER SHOP"``; binary elements are
hex. pyiso8583 does all encoding and decoding; what is added here is a framing and the choice of its specs.
"""

import copy
import re
import struct

import iso8583
import iso8583.specs

WORD = re.compile(r'(\d+)=("[^"]*"|\S*)')

# Elements of digits in ISO 8583:1987; all others but the ones below are characters.
DIGITS = (
    [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27]
    + [32, 33, 53, 66, 67, 68, 69, 70, 71, 72, 73]
    + list(range(74, 91))
    + [99, 100]
)
TRACKS = [35, 36]
BINARY = [52, 55, 64, 96, 128]


def binary_spec():
    """Digits in BCD, characters in ASCII, bitmaps and binary elements as bytes, lengths in BCD."""
    spec = copy.deepcopy(iso8583.specs.default_ascii)
    spec["t"].update(data_enc="b", max_len=2)
    for bitmap in ("p", "1"):
        spec[bitmap].update(data_enc="b", max_len=8)
    for number in range(2, 129):
        field = spec[str(number)]
        if field["len_type"]:
            # One byte holds the length of an LLVAR, two that of an LLLVAR.
            field.update(len_enc="bcd", len_type=1 if field["len_type"] == 2 else 2)
        if number in DIGITS:
            field.update(data_enc="b", len_count="nibbles", left_pad="0")
        elif number in TRACKS:
            field.update(data_enc="b", len_count="nibbles", right_pad="F")
        elif number in BINARY:
            field.update(data_enc="b", max_len=field["max_len"] // 2)
    return spec


SPECS = {"iso87-ascii": iso8583.specs.default_ascii, "iso87-binary": binary_spec()}


def parse(line):
    """A message of the workload file as pyiso8583 has it."""
    message = {"t": line.split(None, 1)[0]}
    for number, value in WORD.findall(line):
        message[number] = value.strip('"')
    return message


def script(path):
    """The lines of a workload: request, the issuer's answer or None, the acquirer's answer, exact or not."""
    with open(path, encoding="ascii") as lines:
        for line in lines:
            request, issuer, acquirer = line.rstrip("\n").split(" => ")
            exact = not acquirer.startswith("~")
            yield (
                parse(request),
                None if issuer == "-" else parse(issuer),
                parse(acquirer.lstrip("~")),
                exact,
            )


def differences(found, expected, exact):
    """Element by element, what differs; names elements and never shows card data."""
    wrong = []
    numbers = set(expected) | (set(found) if exact else set())
    for number in sorted(numbers, key=lambda number: -1 if number == "t" else int(number)):
        if found.get(number) != expected.get(number):
            shown = number in ("2", "35", "36", "45", "52", "55")
            detail = "" if shown else f": {found.get(number)!r}, expected {expected.get(number)!r}"
            wrong.append(f"{number}{detail}")
    return wrong


class Wire:
    """One dialect behind one framing, over a socket."""

    def __init__(self, stream, dialect, framing):
        self.stream = stream
        self.spec = SPECS[dialect]
        self.is_binary = dialect.endswith("binary")
        self.framing = framing
        self.arrived = b""

    def send(self, message):
        message = dict(message)
        if self.is_binary and "35" in message:
            message["35"] = message["35"].replace("=", "D")
        body, _ = iso8583.encode(message, spec=self.spec)
        self.stream.sendall(self.length(len(body)) + body)

    def receive(self):
        """The next message, or None when the peer has closed."""
        head = self.take(4 if self.framing.startswith("ascii4") else 2)
        if head is None:
            return None
        body = self.take(self.announced(head))
        if body is None:
            return None
        message, _ = iso8583.decode(body, spec=self.spec)
        for bitmap in ("p", "1"):
            message.pop(bitmap, None)
        if self.is_binary and "35" in message:
            message["35"] = message["35"].replace("D", "=")
        return message

    def length(self, count):
        if self.framing == "ascii4-inclusive":
            return b"%04d" % (count + 4)
        return struct.pack(">H", count)

    def announced(self, head):
        if self.framing == "ascii4-inclusive":
            return int(head) - 4
        return struct.unpack(">H", head)[0]

    def take(self, count):
        while len(self.arrived) < count:
            chunk = self.stream.recv(65536)
            if not chunk:
                return None
            self.arrived += chunk
        taken, self.arrived = self.arrived[:count], self.arrived[count:]
        return taken
