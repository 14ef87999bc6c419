#!/usr/bin/env python3
"""How much one core of the generator drives, beside how much one core of the switch takes: both with codes in the track,
in turn, on this machine, in one go.

    make build && python3 loadtest/ratio.py [--rounds 5] [--seconds 4]

The switch (one shard, journal level `written`, SoftHSM2) is pinned to one core and driven to its limit by a closed loop
from the other; the generator is pinned to one core and drives a sink issuer on the other at a rate that it finds for
itself: the highest at which its send lag stays below a millisecond (p99) and everything is sent. Medians over the
rounds; as root everything measured goes before other work (nice -20), but not at real-time priority: the kernel takes
a twentieth of each second from that, which is all the lag there would be. Exit code 1 when a goal is missed: twice the
switch with exposure `session`, five times with `none`.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

BIN = pathlib.Path(__file__).resolve().parent.parent / "target" / "release"
MODULES = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"]
MODULE = next((path for path in MODULES if os.path.exists(path)), None)
KEY = "000102030405060708090a0b0c0d0e0f"
ACQUIRER, ISSUER, ADMIN, SINK = 25001, 25002, 25003, 25004
GOALS = {"session": 2.0, "none": 5.0}

PROFILE = """
name = "codes"
[load]
connections = 4
[[program]]
name = "wallet"
kind = "rotating_atc"
test_key = "%s"
iin = "999910"
cards = %d
psn = 1
funding_iin = "99996"
[[case]]
name = "tap"
weight = 1
program = "wallet"
expect = ["00"]
"""

CONFIG = """
[switch]
shards = 1
[admin]
listen = "127.0.0.1:{admin}"
token_file = "access.token"
[journal]
dir = "journal-{exposure}"
key_file = "journal.key"
level = "written"
[hsm]
module = "{module}"
token = "ratio"
pin_file = "pin"
deadline = "5s"
[[program]]
name = "wallet"
kind = "rotating_atc"
iins = ["99991"]
key = "counters-{exposure}"
check_value = "{check_value}"
exposure = "{exposure}"
[[acquirer]]
name = "north"
listen = "127.0.0.1:{acquirer}"
dialect = "iso87-ascii"
framing = {{ length = "binary2" }}
plain_tcp = true
[[issuer]]
name = "maple"
connect = ["127.0.0.1:{issuer}"]
links_per_address = 2
dialect = "iso87-ascii"
framing = {{ length = "binary2" }}
plain_tcp = true
window = 4096
[[route]]
iin = "99996"
issuer = "maple"
"""


def pinned(core, *command):
    before = ["nice", "-n", "-20"] if os.geteuid() == 0 else []
    return [*before, "taskset", "-c", str(core), *map(str, command)]


class Process:
    """A program in the background, in the folder of this run."""

    def __init__(self, folder, core, *command):
        log = open(folder / "log", "ab")
        self.process = subprocess.Popen(pinned(core, *command), cwd=folder, stdout=log, stderr=log)

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def load(folder, core, *arguments):
    report = folder / "report.json"
    command = pinned(core, BIN / "loadtest", "run", "codes.toml", "--quiet", "--json", report, *arguments)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"loadtest ended with {done.returncode}: {done.stdout}{done.stderr}")
    return json.loads(report.read_text())


def keys(folder, *arguments):
    common = ["--module", MODULE, "--token", "ratio", "--pin-file", "pin"]
    command = [BIN / "signalbox", "keys", arguments[0], *common, *arguments[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip().rsplit(" ", 1)[-1]


def prepare(folder, cards):
    os.umask(0o077)
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    secrets = {"pin": "4711-0815", "officer": "9999-9999", "key": KEY, "journal.key": "5a" * 32,
               "access.token": "an-access-token-of-this-measurement"}
    for name, value in secrets.items():
        (folder / name).write_text(value)
    (folder / "codes.toml").write_text(PROFILE % (KEY, cards))
    keys(folder, "init", "--officer-pin-file", "officer")
    for exposure, usage in (("none", "rotating-atc"), ("session", "rotating-atc-session")):
        label = f"counters-{exposure}"
        check_value = keys(folder, "import", "--label", label, "--usage", usage, "--danger-clear-file", "key")
        (folder / f"{exposure}.toml").write_text(CONFIG.format(
            exposure=exposure, module=MODULE, check_value=check_value, acquirer=ACQUIRER, issuer=ISSUER,
            admin=ADMIN))


def ready():
    for _ in range(500):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}/readyz", timeout=1) as page:
                if page.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.02)
    sys.exit("the switch was not ready within ten seconds")


def switch(folder, exposure, seconds):
    """Approvals a second of one switch core."""
    with Process(folder, 1, BIN / "loadtest", "issuer", "--listen", f"127.0.0.1:{ISSUER}"), \
            Process(folder, 0, BIN / "signalbox", "serve", "--config", f"{exposure}.toml"):
        ready()
        arguments = ["--connect", f"127.0.0.1:{ACQUIRER}", "--closed", 64, "--seconds", seconds]
        provision = ["--provision", f"http://127.0.0.1:{ADMIN}", "--token-file", "access.token"]
        report = load(folder, 1, *arguments, *provision, "--threshold", "unexpected=0", "--threshold", "not_sent=0")
        return report["counts"]["approved"] / report["load"]["measured_seconds"]


def generator(folder, seconds, start):
    """The highest rate that one generator core drives with its lag below a millisecond. Other work on the machine can
    spoil a try, and cannot make one better: a rate is given up after three."""
    best, lag, rate = 0.0, 0.0, start
    with Process(folder, 1, BIN / "loadtest", "issuer", "--listen", f"127.0.0.1:{SINK}"):
        time.sleep(0.3)
        while True:
            for _ in range(3):
                arguments = ["--connect", f"127.0.0.1:{SINK}", "--rate", int(rate), "--seconds", seconds]
                report = load(folder, 0, *arguments)
                held = not report["generator"]["generator_bound"] and report["counts"]["missing"] == 0
                if held:
                    break
            if held:
                best, lag = rate, report["lag"]["p99_ns"] / 1e6
                rate *= 1.25
            elif best == 0.0 and rate > 1000:
                rate /= 1.25
            else:
                return best, lag


def go_first():
    """Where the kernel shares the processor between sessions first, a session of our own has to be nice too."""
    try:
        os.setsid()
        pathlib.Path("/proc/self/autogroup").write_text("-20")
    except OSError:
        pass


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=4)
    options.add_argument("--cards", type=int, default=400, help="a thousand codes each, for one run of the switch")
    options = options.parse_args()
    if os.geteuid() == 0:
        go_first()
    if MODULE is None:
        sys.exit("SoftHSM2 is needed: sh hsm/setup.sh")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare(folder, options.cards)
        taken = {exposure: [] for exposure in GOALS}
        driven, lags = [], []
        for round in range(options.rounds):
            for exposure in GOALS:
                taken[exposure].append(switch(folder, exposure, options.seconds))
            rate, lag = generator(folder, options.seconds, 2 * taken["session"][-1])
            driven.append(rate)
            lags.append(lag)
            said = "  ".join(f"switch, {exposure}: {rates[-1]:9,.0f}/s" for exposure, rates in taken.items())
            print(f"round {round + 1}: {said}  generator: {rate:9,.0f}/s, lag p99 {lag:.2f} ms"
                  f"  load {os.getloadavg()[0]:.1f}", flush=True)
        missed = False
        for exposure, goal in GOALS.items():
            ratio = statistics.median(driven) / statistics.median(taken[exposure])
            missed |= ratio < goal
            print(f"one generator core drives {ratio:.1f} times what one switch core takes with exposure "
                  f"`{exposure}` (goal: {goal:g})")
        sys.exit(1 if missed else 0)


main()
