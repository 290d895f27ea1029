# `make` alone lists the verbs. Any Python >= 3.11 will do: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install -c constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-slow lint format benchmarks clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo-ready ## Install the core, then recognise the bundled example
	$(BIN)/affekt demo

test: lint ## Install everything, then lint, type-check and run all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "slow or not slow" -n auto --dist loadfile

test-slow: $(VENV)/.dev-ready ## Run the tests that plain pytest leaves out
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev-ready ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev-ready ## Rewrite the code in the house's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: $(VENV)/.dev-ready ## Print every speed claim beside the peer it is measured against
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

clean: ## Remove .venv, caches and builds
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is younger than what it was installed from, so nothing is installed twice.
$(VENV)/.demo-ready: pyproject.toml constraints.txt | $(VENV)/.made
	$(PIP) -e ".[plots]"
	@touch $@

$(VENV)/.dev-ready: pyproject.toml constraints.txt | $(VENV)/.made
	$(PIP) -e ".[dev]"
	@touch $@ $(VENV)/.demo-ready

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit("Affekt needs Python 3.11 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@touch $@
