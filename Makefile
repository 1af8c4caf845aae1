# `make help` lists the commands. Each works in a fresh clone and sets up what it needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
LATEST := .venv-latest
# Extras that `make setup` installs. `dev` has all of them; a server needs report,alerts.
EXTRAS ?= dev
READY := $(VENV)/.ready
PIP := --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup demo dev test test-fast test-latest torture check lint types docs bench bench-scale clean

help: ## List the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 19

setup: $(READY) .env .dagster/storage ## Virtual environment, settings, Dagster's storage

demo: setup ## Export a sample backend and show what was written where
	@$(BIN)/python -m exporter_pipelines.demo

dev: setup ## Open the Dagster UI (web server and daemon) on http://127.0.0.1:3000, or PORT=...
	@$(BIN)/exporter serve --daemon $(if $(PORT),--port $(PORT))

# With bytecode also where the environment forbids it: the tests start hundreds of processes.
test: $(READY) ## All tests, on a real PostgreSQL
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --dist worksteal $(ARGS)

test-fast: $(READY) ## Tests without PostgreSQL and Dagster, about a minute
	@$(BIN)/pytest -n auto --dist worksteal -m "unit and not slow" $(ARGS)

test-latest: ## All tests on the newest Dagster, in .venv-latest; select with ARGS=...
	@$(PYTHON) -m venv $(LATEST)
	@$(LATEST)/bin/pip install $(PIP) --constraint constraints.txt --editable '.[dev]'
	@grep -v '^dagster' constraints.txt > $(LATEST)/constraints.txt
	@$(LATEST)/bin/pip install $(PIP) --constraint $(LATEST)/constraints.txt \
		--upgrade dagster dagster-webserver 2> $(LATEST)/upgrade.log \
		|| { cat $(LATEST)/upgrade.log; exit 1; }
# --no-deps: its release may come after Dagster's, and pip would then choose a version of years ago.
	@$(LATEST)/bin/pip install $(PIP) --upgrade --no-deps dagster-postgres
	@$(LATEST)/bin/pip freeze --disable-pip-version-check | grep '^dagster'
	@$(LATEST)/bin/pytest -n auto --dist worksteal $(ARGS)

torture: $(READY) ## Campaigns that try to break the guarantees, up to 45 minutes; select with ARGS="kills"
	@$(BIN)/python -m exporter_pipelines_tests.torture $(ARGS)

check: $(READY) lint types test ## Lint, types and tests

lint: $(READY) ## Ruff
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(READY) ## mypy, strict
	@$(BIN)/mypy

docs: $(READY) ## Update the generated parts of docs/
	@$(BIN)/python docs/generate.py

bench: $(READY) ## Benchmarks against the limit and other tools; ROWS= DAYS= ROUNDS= PEERS=0 ONLY= shorten it
	@$(BIN)/python -m exporter_pipelines_tests.benchmarks compare $(if $(ROWS),--rows $(ROWS)) \
		$(if $(DAYS),--days $(DAYS)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(PEERS),--peers $(PEERS)) \
		$(if $(ONLY),--only "$(ONLY)")

# Not listed in `make help`: takes ten minutes and 12 GB of disk, see docs/performance.md.
bench-scale: $(READY)
	@$(BIN)/python -m exporter_pipelines_tests.benchmarks scale $(ARGS)

clean: ## Remove generated files; exports, history, .env and demo data stay
	rm -rf $(VENV) $(LATEST) build *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache logs .logs_queue

$(READY): setup.py constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed; name one with make PYTHON=...")'
	@echo "Installing into $(VENV) (about 1.9 GB; half a minute, a few minutes on a busy machine) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install $(PIP) --constraint constraints.txt --editable '.[$(EXTRAS)]' > $(VENV)/install.log 2>&1 \
		|| { cat $(VENV)/install.log; exit 1; }
	@touch $@

.env:
	@cp .env.example $@ && chmod 600 $@ && echo "Created .env from .env.example; your settings go there."

# Create the instance once, in one process: if several processes start at the same time on an empty
# SQLite instance, they corrupt it permanently.
.dagster/storage: | $(READY) .env
	@$(BIN)/dagster instance migrate > /dev/null 2>&1 || $(BIN)/dagster instance migrate
