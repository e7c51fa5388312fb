# Everything that people and CI run. `make` alone lists it. All targets set up what they need first, and say so.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
N ?= 1000
FAULTS ?= all
.PHONY: help setup demo test browser conformance soak faults bless bench online clean

# What tools/setup.sh found or fetched: paths of libclang and of the PostgreSQL servers.
WITH := . .tools/env.sh &&

help: ## This list
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## Find or fetch what the build and the tests need
	@tools/setup.sh test

demo: ## See it work: plan, apply and drift on a throwaway PostgreSQL
	@tools/setup.sh demo
	@echo "== build plumb (a few minutes the first time)"
	@$(WITH) cargo build --locked --bin plumb
	@$(WITH) tools/demo.sh

test: ## Formatting, lints and all tests, as CI runs them
	@tools/setup.sh test
	@echo "== formatting"
	@$(WITH) cargo fmt --check
	@echo "== lints"
	@$(WITH) cargo clippy --locked --all-targets -- -D warnings
	@echo "== tests"
	@$(WITH) tools/tests.sh

browser: ## The page of a plan in a headless Chromium, which is installed first (about 100 MB)
	@tools/setup.sh browser
	@$(WITH) cargo test --locked --test browser -- --nocapture

conformance: ## Every schema and pair of ../shared, and the table docs/conformance.md
	@tools/setup.sh conformance
	@$(WITH) PLUMB_CONFORMANCE=all cargo test --locked --test conformance -- --nocapture

soak: ## Random pairs of schemas, each with its proof: make soak N=1000 (PLUMB_SEED brings a run back)
	@tools/setup.sh test
	@$(WITH) PLUMB_SOAK=$(N) cargo test --locked --test soak -- --nocapture

faults: ## Breaks applies in some 7,500 ways, and the table in docs/reliability.md: make faults FAULTS=50 for so many of each sort (PLUMB_SEED brings a run back)
	@tools/setup.sh test
	@$(WITH) PLUMB_FAULTS=$(FAULTS) cargo test --locked --test faults -- --nocapture

bless: ## Write the golden plan of a case that converges: make bless CASE=table/add_column
	@test -n "$(CASE)" || { echo "which one? make bless CASE=KIND/NAME (or a part of it)" >&2; exit 1; }
	@tools/setup.sh test
	@$(WITH) PLUMB_BLESS=1 PLUMB_CASE="$(CASE)" cargo test --locked --test cases -- --nocapture

bench: ## plumb plan beside pg_dump on 100, 1,000 and 10,000 tables; TABLES="100" for others; FILES=1: plans from files, with their proof; DRIFT=1: drift
	@tools/setup.sh demo
	@echo "== build plumb, optimized (a few minutes the first time)"
	@$(WITH) cargo build --locked --release --bin plumb
	@$(WITH) tools/bench.sh $(if $(FILES),--files) $(if $(DRIFT),--drift) $(TABLES)

online: ## How long others wait while a table of 5 million rows changes, in direct and online forms; PLUMB_ROWS for others
	@tools/setup.sh test
	@$(WITH) cargo bench --locked --profile dev --bench online

clean: ## Remove what was built here (downloads stay in the cache that setup names)
	@cargo clean
	@rm -rf .tools
