# One word each. `make demo` and `make test` are all a newcomer needs.

SECONDS ?= 10
RATE ?= 2000
FUZZ_SECONDS ?= 60
SIM_SECONDS ?= 60
CARGO ?= cargo
# What is off by default is checked and tested all the same.
ALSO = switch/otel
RELAY = target/relay/release/relay

.PHONY: package help demo build test unit outside tools lint deny bench bench-hsm bench-e2e fuzz sim chaos sweep load grafana clean

help:            ## what there is
	@grep -E '^[a-z0-9-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## /\1|/' | awk -F'|' '{printf "  make %-9s %s\n", $$1, $$2}'

demo: build      ## the switch at work: two issuers, a fleet of terminals, a summary  [SECONDS=10 RATE=2000]
	@target/release/signalbox demo --seconds $(SECONDS) --rate $(RATE)

build:           ## signalbox and loadtest, optimised
	@$(CARGO) build --release --locked -p switch -p loadtest

test: lint unit outside deny   ## everything, on a machine that has only Rust, a C compiler and make
	@echo "all tests passed"

unit:            ## unit and property tests of every crate, and the examples in its documents
	$(CARGO) test --workspace --locked --features $(ALSO) --lib --bins
	$(CARGO) test --workspace --locked --features $(ALSO) --doc
	@cd benches/relay && $(CARGO) test --locked -q --target-dir ../../target/relay

outside: build tools ## tests on the release binary, through sockets; two foreign codecs; a real token
	SIGNALBOX_TESTS=all $(CARGO) test --locked --release -p tests -p loadtest -p hsm --tests
	SIGNALBOX_TESTS=all $(CARGO) test --locked --release -p sim --tests
	$(CARGO) build --locked --release -q -p loadtest -p benches --bins && target/release/instructions
	SIGNALBOX_TESTS=all $(CARGO) test --workspace --locked --features $(ALSO) --test otel
	@sh tests/foreign/run.sh
	@sh switch/packaging/test.sh

tools:           ## what the tests need: a Python virtual environment, SoftHSM2, Chromium, strace, valgrind
	@sh tests/peers/setup.sh
	@sh hsm/setup.sh
	@sh loadtest/setup.sh
	@sh tests/strace.sh
	@sh tests/grafana/setup.sh
	@sh tests/console/setup.sh
	@sh benches/setup.sh

lint:            ## rustfmt and clippy, warnings refused
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked --features $(ALSO) -- -D warnings

deny:            ## licences, bans and sources of the dependencies; advisories where they can be fetched
	@sh .cargo/deny.sh

package:         ## the Debian package, into target/
	@SIGNALBOX_COMMIT=$$(git rev-parse --short=12 HEAD) $(CARGO) build --release --locked -p switch
	@sh switch/packaging/deb.sh target

bench:           ## how long each step takes; figures go into benches/README.md
	$(CARGO) bench --locked -p benches

bench-hsm:       ## verifications beside the bare calls of PKCS#11, and in a worker beside inline: the tables of benches/README.md
	@$(CARGO) bench --locked -q -p benches --bench hsm --bench hsm_worker

bench-e2e: build ## the switch beside a bare relay, through sockets, in interleaved rounds: half an hour  [ROUNDS=8]
	@cd benches/relay && $(CARGO) build --release --locked -q --target-dir ../../target/relay
	@$(RELAY) prepare target/relay/codes
	@$(RELAY) rounds --codes target/relay/codes --rounds $(or $(ROUNDS),8)
	@$(RELAY) rounds --codes target/relay/codes --rounds $(or $(ROUNDS),8) --shards 2 --loads 8x64,64x8,64x1,1x1
	@$(RELAY) counts --codes target/relay/codes
	@$(RELAY) growth --rounds $(or $(ROUNDS),8)

fuzz:            ## every fuzz target for FUZZ_SECONDS, and ten million mutated frames per dialect
	@sh tests/fuzz/run.sh $(FUZZ_SECONDS)

sim:             ## the simulated world: one seed, or fresh ones for a time  [SEED=n, or FROM=1 SECONDS=60]
	@$(CARGO) build --release --locked -q -p sim --bin sim
	@SEED=$(SEED) FROM=$(or $(FROM),1) SECONDS=$(SIM_SECONDS) target/release/sim

chaos:           ## kill -9 under load, restart, compare all books  [ROUNDS=500]
	@$(CARGO) build --release --locked -q -p switch -p loadtest
	SIGNALBOX_TESTS=all SIGNALBOX_CHAOS=$(or $(ROUNDS),500) $(CARGO) test --locked --release -p tests --test chaos -- --nocapture

sweep:           ## every n-th write, sync, receive and send fails or kills; all books compared each time
	@$(CARGO) build --release --locked -q -p switch -p loadtest
	SIGNALBOX_TESTS=all SIGNALBOX_SWEEP=all $(CARGO) test --locked --release -p tests --test sweep -- --nocapture

load:            ## the load generator against a switch that is running  [PROFILE=baseline]
	@target/release/loadtest run $(or $(PROFILE),baseline)

grafana:         ## dashboards, rules and the table of metrics, written from the catalogue
	@$(CARGO) run --locked -q -p grafana

clean:
	$(CARGO) clean
