# Every goal works on a bare machine: `setup` brings what is missing, and ends at once when nothing is.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
# Chosen tests: make test TESTS=tests/domain
TESTS ?=
# Test workers, each with a broker and a database of its own; a file stays in one of them.
WORKERS ?= 2
# Another stack beside the first: make up NAME=second
NAME ?= dev

.PHONY: help setup demo up down status reset check security test bench simulate faults campaign reliability fix lock clean

help: ## list the goals
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## bring the Python environment and Kafka's jars, checked by hash
	@$(PYTHON) deploy/local/bootstrap.py

demo: setup ## play a real market with customers trading on it, end with figures and a verified proof
	@$(BIN)/python main.py demo

up: setup ## start the whole stack in the background and say where everything is
	@$(BIN)/python -m deploy.local.background up --name $(NAME)

down: setup ## stop the stack; what it recorded is kept
	@$(BIN)/python -m deploy.local.background down --name $(NAME)

status: setup ## whether the stack is up
	@$(BIN)/python -m deploy.local.background status --name $(NAME)

reset: setup ## stop the stack and forget all it ever recorded
	@$(BIN)/python -m deploy.local.background reset --name $(NAME)

check: setup ## format, lint, types, import rules, house rules
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --strict .
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/tidy

security: setup ## scan for weaknesses; where advisories cannot be asked for: make security OFFLINE=1
	@$(BIN)/python -m deploy.security $(SCANS) $(if $(OFFLINE),--offline)

test: setup ## run the tests, with real servers
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder $(TESTS)

bench: setup ## measure beside peers; brief: make bench ROUNDS=1 SECONDS=5 FIGURES=replay
	@$(BIN)/python -m tests.bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(FIGURES),--only $(FIGURES))

simulate: setup ## play histories with faults, each from a seed: make simulate SEEDS=1000 START=0 COMMANDS=500
	@$(BIN)/python -m tests.simulation $(if $(SEEDS),--seeds $(SEEDS)) $(if $(START),--start $(START)) \
		$(if $(COMMANDS),--commands $(COMMANDS)) $(if $(KNOWN),--known $(KNOWN)) \
		$(if $(LEDGER),--ledger $(LEDGER))

faults: setup ## faults on a whole stack, each twice, judged: make faults SEED=7 ROWS=F1,F2
	@$(BIN)/python -m tests.faults faults $(if $(SEED),--seed $(SEED)) $(if $(ROWS),--rows $(ROWS)) \
		$(if $(LEDGER),--ledger $(LEDGER))

campaign: setup ## rounds of random faults, told to the ledger: make campaign MINUTES=30 SEED=7 ROWS=F1,F2
	@$(BIN)/python -m tests.faults campaign $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) \
		$(if $(ROWS),--rows $(ROWS)) $(if $(LEDGER),--ledger $(LEDGER))

reliability: setup ## write docs/reliability.md from the ledger of all runs
	@$(BIN)/python -m tests.faults.publish

fix: setup ## format, and repair what the linter can
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix .

lock: setup ## lock the libraries of pyproject.toml and the scanners anew
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes \
		--no-emit-index-url --no-header pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		deploy/security/requirements.txt -o deploy/security/requirements.lock

clean: ## remove the Python environment and all tool caches, keep what stacks recorded
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
