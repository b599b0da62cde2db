# Everything a person types. Needs git, make and python3 >= 3.11; brings the rest along.

.DEFAULT_GOAL := help
.PHONY: help demo test check lint up down bench chaos clean venv dev-venv lock
SHELL := /bin/sh

# The first interpreter that is new enough; python3 first, as it is the one people expect.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$$p"; break; fi; done)
BIN := .venv/bin
SECONDS ?= 120
ALL_CORES := -n logical --dist worksteal

help: ## What can be typed here
	@while IFS= read -r line; do case "$$line" in \
	  [a-z]*": "*"## "*) printf '  make %-7s %s\n' "$${line%%:*}" "$${line##*## }";; \
	esac; done < Makefile

demo: venv ## A real Kafka, 100,000 orders, Delta tables in ./lakehouse; ends by itself
	@$(BIN)/stream-processor demo

test: lint ## Everything, on a real Kafka and a real MinIO; no test may be skipped
	@$(BIN)/python -m stream_processor.operations.local_stack fetch
	@$(BIN)/python -m pytest --no-skips $(ALL_CORES) -m "not stack"
	@$(BIN)/python -m pytest --no-skips -m stack

check: lint ## Lint, format, types, import contracts and the fast tests; no servers
	@$(BIN)/python -m pytest -q $(ALL_CORES) -m "not stack and not slow"

lint: dev-venv
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

up: dev-venv ## Leave a Kafka and a MinIO running, and say how to run the job on them
	@$(BIN)/python -m stream_processor.operations.local_stack up

down: ## Stop what `make up` started
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m stream_processor.operations.local_stack down; fi

bench: dev-venv ## Measure, and store the figures in benchmarks/results
	@$(BIN)/python benchmarks/run.py

chaos: dev-venv ## Random kills and outages for SECONDS=120, then the proof; prints its seed
	@$(BIN)/python -m tests.chaos.run --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

clean: down ## Remove .venv, the local stack's data and caches of tools (not ./lakehouse)
	@rm -rf .venv .venv.lock .stack build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

venv:
	@$(call bootstrap,runtime)

dev-venv:
	@$(call bootstrap,dev)

lock: dev-venv
	@$(BIN)/python scripts/lock.py

define bootstrap
if [ -z "$(PYTHON)" ]; then \
	echo "Python 3.11 or later is needed; none was found as python3 or python3.11 to python3.14 on the PATH." >&2; exit 1; \
fi; "$(PYTHON)" scripts/bootstrap.py $(1)
endef
