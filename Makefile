SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0

# What is tested: make test PKGS=./internal/ledger/...
PKGS ?= ./...
# Packages tested at once: each starts servers of its own, about 100 MB.
PARALLEL ?= 2
# Of one package's tests. The whole run stays below 20 minutes on 2 cores.
TIMEOUT ?= 10m
# The race detector needs a C compiler.
RACE := $(shell command -v $$(go env CC | cut -d' ' -f1) >/dev/null 2>&1 && echo -race)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.PHONY: build
build: ## bin/prewarm, static, without the demo's embedded servers
	CGO_ENABLED=0 go build -trimpath -tags noembed -o bin/prewarm ./cmd/prewarm

.PHONY: demo
demo: ## a synthetic evening, with nothing installed but Go
	go run ./cmd/prewarm demo

.PHONY: test
test: servers ## everything: checks, then all tests with the race detector on private Redis and MariaDB servers
	@$(MAKE) --no-print-directory check run-tests

.PHONY: test-mysql
test-mysql: servers ## all tests on a MySQL instead of MariaDB, which PREWARM_MYSQLD names or which is fetched; some 15 minutes
	mysqld=$$(.ci/mysql); PREWARM_MYSQLD="$$mysqld" PREWARM_REQUIRE_SERVERS=1 go test -count=1 -p $(PARALLEL) -timeout 20m $(PKGS)

.PHONY: test-fast
test-fast: ## all tests without the race detector; results are cached
	go test -p $(PARALLEL) -timeout $(TIMEOUT) $(PKGS)

# Evenings of faults: make faults SEED=17 EVENINGS=1. ONLY and WITHOUT name kinds of faults, with commas.
EVENINGS ?= 50
FAULTS ?= 20
SEED ?= 1
AT_ONCE ?= 3
ONLY ?=
WITHOUT ?=
REPORT ?= bin/faults.json

.PHONY: faults
faults: servers ## 50 evenings with 20 faults each on real processes, less than an hour; a selection is part of `make test`
	@mkdir -p $(dir $(REPORT))
	PREWARM_REQUIRE_SERVERS=1 go test ./internal/faults -run TestNothingIsLostWhateverBreaks -count=1 -v -timeout 3h -clocks \
		-evenings $(EVENINGS) -faults $(FAULTS) -seed $(SEED) -at-once $(AT_ONCE) -only '$(ONLY)' -without '$(WITHOUT)' -report $(abspath $(REPORT))

.PHONY: screenshots
screenshots: servers ## docs/images: what the board looks like
	PREWARM_REQUIRE_SERVERS=1 go test ./internal/app -run TestPicturesOfTheBoard -count=1 -screenshots $(abspath docs/images)
# Where a bench puts its figures.
JSON ?=

# The bench of the width: make bench-pace SECONDS=6 ROUNDS=1 CELLS=1,4 PAGES=500 JSON=bin/pace.json takes some minutes. GROUP=low has
# all settings read in a resource group, which a MySQL has (PREWARM_MYSQLD).
SECONDS ?= 15
ROUNDS ?= 3
RATE ?= 1000
LIVE ?= 1000
CELLS ?= 1,2,4,8,16,32
PAGES ?= 500,5000
PIN ?= true
GROUP ?=

.PHONY: bench-pace
bench-pace: servers ## what a live load feels beside the warming: fixed widths and pages against the controller; two to three hours, Linux
	@mkdir -p bin $(dir $(JSON))
	PREWARM_REQUIRE_SERVERS=1 go test ./internal/app -run 'TestPace$$' -count=1 -v -timeout 4h -pace-seconds $(SECONDS) -pace-rounds $(ROUNDS) -pace-rate $(LIVE) \
		-pace-cells '$(CELLS)' -pace-pages '$(PAGES)' -pace-pin=$(PIN) -pace-group '$(GROUP)' -pace-json '$(if $(JSON),$(abspath $(JSON)))'

# How late a change is in the cache: make freshness SECONDS=30 RATE=1000 JSON=bin/freshness.json, then a million races of a page against a delete.
RACES ?= 1000000

.PHONY: freshness
freshness: servers ## how late changes are in the cache, with the binlog and without, while shops are loaded; then races of pages against deletes
	@mkdir -p bin $(dir $(JSON))
	PREWARM_REQUIRE_SERVERS=1 go test ./internal/app -run 'TestFreshness$$' -count=1 -v -timeout 1h -freshness-seconds $(SECONDS) -freshness-rate $(RATE) \
		-freshness-json '$(if $(JSON),$(abspath $(JSON)))'
	PREWARM_REQUIRE_SERVERS=1 PREWARM_RACES=$(RACES) go test ./internal/load -run TestARowThatLeftDoesNotComeBack -count=1 -v -timeout 2h

# How fast it is here, beside a plain loop and the servers' own programs: make bench JSON=bin/bench.json ROWS=2000000 RUNS=9
# SHAPE is what the data are like: mixed, one, many (small shops), wide (200 columns), large (rows of 100 KB); slim: 1,000 shops are only planned.
ROWS ?= 600000
RUNS ?= 5
SHAPE ?= mixed

.PHONY: bench
bench: ## rows per second and CPU beside a plain loop and the shell, on private servers; minutes
	go run ./internal/bench -rows $(ROWS) -runs $(RUNS) -shape $(SHAPE) $(if $(JSON),-json $(JSON))

# The legs one by one. What `make bench-legs OUT=bin/before.txt` has written is compared by `make bench-legs OUT=bin/after.txt WITH=bin/before.txt`.
OUT ?= bin/legs.txt
COUNT ?= 6

.PHONY: bench-legs
bench-legs: servers ## reading, encoding and writing by themselves, as Go benchmarks; WITH=FILE compares by benchstat
	@mkdir -p $(dir $(OUT))
	PREWARM_REQUIRE_SERVERS=1 go test -run '^$$' -bench 'Page$$|Row$$|Write|Modes|ReadKeys' -count $(COUNT) ./internal/source ./internal/dataset ./internal/cache ./internal/load | tee $(OUT)
	$(if $(WITH),go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da $(WITH) $(OUT))

.PHONY: check
check: ## formatting, go vet, and what the production binary links
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "run 'make fmt' for:" $$unformatted >&2; exit 1; }
	go vet ./...
	go vet -tags noembed ./...
	@deps=$$(go list -tags noembed -deps ./cmd/prewarm); \
		demo=$$(grep -E 'miniredis|modernc\.org' <<<"$$deps" || true); \
		[ -z "$$demo" ] || { echo "the production binary would link the demo's servers:" $$demo >&2; exit 1; }

.PHONY: lint
lint: ## golangci-lint; the first run compiles it
	go run $(GOLANGCI_LINT) run

.PHONY: fmt
fmt: ## format the code
	gofmt -w .

.PHONY: tidy-check
tidy-check: ## go.mod and go.sum name what is used and nothing else
	go mod tidy -diff

.PHONY: govulncheck
govulncheck: ## known vulnerabilities in what is called; asks the Go vulnerability database
	go run $(GOVULNCHECK) ./...

.PHONY: servers
servers:
	@.ci/servers

# A second make reads RACE again, after a compiler may have been installed. Tests that miss a server note it in the file
# that PREWARM_SKIPPED names. The simulation runs its goroutines one at a time, which the race detector cannot see, so it
# has a run of its own without it.
.PHONY: run-tests
run-tests:
	@[ -n "$(RACE)" ] || [ "$${PREWARM_REQUIRE_SERVERS:-}" != 1 ] || { echo "no C compiler for the race detector" >&2; exit 1; }
	@[ -n "$(RACE)" ] || echo "No C compiler: testing without the race detector."
	@skipped=$$(mktemp); trap 'rm -f "$$skipped"' EXIT; code=0; set -x; \
		PREWARM_SKIPPED="$$skipped" go test $(RACE) -count=1 -p $(PARALLEL) -timeout $(TIMEOUT) $(PKGS) || code=$$?; \
		[ '$(PKGS)' != ./... ] || [ -z "$(RACE)" ] || go test -count=1 -timeout $(TIMEOUT) ./internal/model || code=$$?; \
		{ set +x; } 2>/dev/null; \
		[ ! -s "$$skipped" ] || { echo "Skipped:"; sort -u "$$skipped"; }; \
		exit $$code
