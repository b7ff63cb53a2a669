# Everything runs from a virtual environment in .venv that is made from requirements/dev.lock.
# A machine needs Python >= 3.11, make and git, and for the TypeScript package Node >= 20 with npm; `make PYTHON=/path/to/python3.12 test` chooses another interpreter.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	"$$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$python" && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PLATFORM := tests/platform/node
TYPESCRIPT := typescript
PYTEST_FLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup node demo test test-fast check format docs client lock bench soak clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) $(TYPESCRIPT)/node_modules/.installed ## make .venv and typescript/node_modules from their locks; does nothing when they are there

$(STAMP): requirements/dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "blaxel-jobs needs Python >= 3.11 with venv; name one: make PYTHON=python3.12 setup" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

node: $(PLATFORM)/node_modules/.installed ## install the platform's TypeScript SDK, which the tests run against our servers

# Without npm the tests that need it say so.
$(PLATFORM)/node_modules/.installed: $(PLATFORM)/package-lock.json
	@command -v npm >/dev/null || echo "the tests of the platform's TypeScript SDK will fail: they need node >= 20 with npm" >&2
	@! command -v npm >/dev/null || { cd $(PLATFORM) && npm ci --silent --ignore-scripts --no-audit --no-fund && \
		touch $(@:$(PLATFORM)/%=%); } || echo "the platform's TypeScript SDK could not be installed: its tests will fail" >&2

# Only the checks and tests of the TypeScript package need node: they fail without it.
$(TYPESCRIPT)/node_modules/.installed: $(TYPESCRIPT)/package-lock.json
	@if node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null; then \
		cd $(TYPESCRIPT) && npm ci --silent --ignore-scripts --no-audit --no-fund && touch node_modules/.installed; \
	else echo "the TypeScript package cannot be checked and tested here: that takes node >= 20 with npm" >&2; fi

demo: setup ## parse the whole standard library as one durable execution; interrupted, it goes on
	@$(BIN)/python -m examples.census_demo

test: setup node ## run all tests
	cd $(TYPESCRIPT) && npm test --silent
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_FLAGS)

test-fast: setup node ## run the tests that take less than about five seconds each
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not soak" $(PYTEST_FLAGS)

check: setup ## what must hold before the tests: format, lint, types, imports, contract, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/openapi-spec-validator openapi.yaml
	$(BIN)/python scripts/generate_client.py --check
	$(BIN)/python scripts/states_diagram.py --check
	$(BIN)/python scripts/seeds_table.py --check
	cd $(TYPESCRIPT) && npm run --silent check

format: setup ## format, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd $(TYPESCRIPT) && npm run --silent format

docs: setup ## write the generated documents again
	$(BIN)/python scripts/states_diagram.py
	$(BIN)/python scripts/seeds_table.py

client: setup ## write blaxel_jobs/client and the types of typescript/ again from openapi.yaml
	$(BIN)/python scripts/generate_client.py
	cd $(TYPESCRIPT) && npm run --silent types

lock: ## resolve requirements/dev.lock again (needs uv)
	uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements/dev.lock

bench: setup ## measure, beside anchors of the same run
	$(BIN)/python -m benchmarks

soak: setup ## the full-size runs of the reliability tests
	$(BIN)/python -m pytest -m soak $(PYTEST_FLAGS)

clean: ## remove what was built; keeps .venv
	rm -rf build dist typescript/build typescript/dist .demo .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .grimp_cache .hypothesis .coverage
