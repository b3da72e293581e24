# s3mount: "make demo" shows it, "make test" proves it, "make check" before a change lands.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
TOOLS    := $(or $(S3MOUNT_TOOLS),$(CURDIR)/.tools/bin)
# Two packages at a time: the tests of one start servers and mount file systems, and
# share the machine with those of the other.
TESTFLAGS ?= -p 2 -timeout 20m
# The race detector makes the longest package take 18 minutes instead of 6.
RACETIMEOUT := 60m
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.DEFAULT_GOAL := help
.PHONY: help build man demo tools deps test check fuzz fsx soak crash bench clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | sort | awk -F'\t' '{printf "  make %-7s %s\n", $$1, $$2}'

build: ## bin/s3mount
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/s3mount ./cmd/s3mount

man: build ## the man pages of all commands, in man
	bin/s3mount genman man

demo: ## build, install what is missing, mount a bucket of an embedded server and take the tour
	test/install-deps.sh fuse3 rsync
	$(MAKE) --no-print-directory build
	bin/s3mount demo --check

tools: ## the S3 servers and clients that the tests run against, at fixed versions
	GO=$(GO) test/tools/install.sh $(TOOLS)

deps: ## the Debian packages that the tests need
	test/install-deps.sh

test: deps tools ## all tests, on s3fake, the embedded server, MinIO, versitygw and Ceph
	S3MOUNT_TOOLS=$(TOOLS) $(GO) test $(TESTFLAGS) ./...
	cd test/bench && $(GO) vet ./... && S3MOUNT_TOOLS=$(TOOLS) $(GO) test ./...

check: deps tools ## what a contributor runs before a change lands: format, vet, lint, architecture, race
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	cd test/bench && $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) test -count=1 ./test/arch
	S3MOUNT_TOOLS=$(TOOLS) $(GO) test -race $(TESTFLAGS) -timeout $(RACETIMEOUT) ./...

# Each target by itself, since go test fuzzes one at a time.
FUZZTIME ?= 30s

fuzz: ## every fuzz target for FUZZTIME (30s) each
	@grep -rho --include='*_test.go' '^func Fuzz[A-Za-z0-9]*' . | sort -u | sed 's/^func //' | while read -r target; do \
		package=$$(dirname "$$(grep -rl --include='*_test.go' "^func $$target(" . | head -n 1)"); \
		echo "$$package $$target"; \
		$(GO) test "$$package" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x || exit 1; \
	done

fsx: ## 100,000 random operations on a file through the kernel, in each mode, under faults (FSX_STEPS=, FSX_SEED=)
	S3MOUNT_FSX_STEPS=$(or $(FSX_STEPS),100000) S3MOUNT_FSX_SEED=$(or $(FSX_SEED),1) \
		$(GO) test -count=1 -timeout 4h -v -run '^TestFSX$$' ./test/e2e

soak: ## 30 minutes of everything at the same time, under faults; then nothing may be left over (SOAK_SECONDS=)
	S3MOUNT_SOAK_SECONDS=$(or $(SOAK_SECONDS),1800) $(GO) test -count=1 -timeout 4h -v -run '^TestSoak$$' ./test/e2e

CRASHTIME ?= 1h

crash: ## crashes of --writeback at random moments, for CRASHTIME (1h)
	$(GO) test ./writeback/overlay -run 'TestModel' -for $(CRASHTIME) -timeout 0

bench: tools ## s3mount against the other mounts that are here, on a simulated store (flags: BENCH="-run seq -runs 5")
	test/install-deps.sh fuse3 rsync sqlite3 git
	cd test/bench && S3MOUNT_TOOLS=$(TOOLS) $(GO) run . mount $(BENCH)

clean: ## remove what was built; the tools stay
	rm -rf bin man
