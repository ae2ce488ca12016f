# Every verb builds what it needs in .venv first; PYTHON=python3.12 chooses another interpreter.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# PIP_USER off and -I: nothing of the user's own site-packages gets in.
INSTALL := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USER=0 $(PY) -I -m pip install --quiet

.PHONY: help demo run test dense lint bench chaos lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   a recorded conversation through the whole river; TRANSCRIPT=file KNOWLEDGE=folder SPEED=n"
	@echo "make run    the service on port 8000 (PORT=n); Ctrl-C stops everything"
	@echo "make test   all tests; those on a real Apache Kafka need Java with Maven, Docker or KAFKA_BOOTSTRAP_SERVERS"
	@echo "make dense  tests of the extra local-dense, with its model (90 MB)"
	@echo "make lint   ruff, mypy --strict, import-linter"
	@echo "make bench  figures on a real Apache Kafka"
	@echo "make chaos  kills everything on a real Apache Kafka and counts what is lost; KILLS=n SEED=n, of one batch BATCH_ITEMS=n"
	@echo "make lock   write the locks anew from pyproject.toml"

$(VENV)/.run: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("realtime-rag needs Python 3.11 or newer, this is %d.%d: choose one by make PYTHON=python3.12 ..." % sys.version_info[:2])'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "building the environment in $(VENV) (once)"
	@$(INSTALL) --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/.run
	@$(PY) -m ops.cli demo $(if $(TRANSCRIPT),--transcript '$(TRANSCRIPT)') $(if $(KNOWLEDGE),--knowledge '$(KNOWLEDGE)') $(if $(SPEED),--speed '$(SPEED)')

run: $(VENV)/.run
	@exec $(PY) -m ops.cli up

test: $(VENV)/.dev
	@$(PY) -m pytest $(ARGS)

# Apart from the others, so that these do not have to download it.
dense: $(VENV)/.dev
	@$(INSTALL) --no-build-isolation --editable '.[local-dense]'
	@$(PY) -m pytest tests/dense $(ARGS)

lint: $(VENV)/.dev
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy && $(VENV)/bin/mypy tests
	@$(VENV)/bin/lint-imports

bench: $(VENV)/.dev
	@$(PY) -m bench $(ARGS)

chaos: $(VENV)/.dev
	@$(PY) -m tests.chaos $(if $(BATCH_ITEMS),--batch $(BATCH_ITEMS)) $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

# Of the runtime first, then all of it at the same versions; without the names of the registries they came from.
lock: $(VENV)/.dev
	@$(VENV)/bin/uv pip compile $(LOCK) --output-file requirements.lock pyproject.toml
	@$(VENV)/bin/uv pip compile $(LOCK) --group dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
LOCK := --quiet --python-version 3.11 --universal --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links

clean:
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
