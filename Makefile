# make serve, make test: everything they need is set up by themselves, given Python 3.11 and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: serve test check benchmark train clean

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Beagle needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of dependencies: pip runs again only when pyproject.toml changed.
$(VENV)/.serve: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

# What the tests need holds what serving needs: installed in one go.
$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $(VENV)/.serve $@

$(VENV)/.benchmark: pyproject.toml $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[benchmark]'
	touch $@

serve: $(VENV)/.serve
	$(BIN)/beagle serve

test: $(VENV)/.test check
	PATH="$(abspath $(BIN)):$$PATH" sh tests/install_servers.sh
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 tests/engine
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal --ignore tests/engine -m 'not alone'
	$(BIN)/python -m pytest --ignore tests/engine -m alone

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: $(VENV)/.benchmark
	$(BIN)/python -m tests.benchmarks

# Trains the shipped model anew from the MNIST files in DATA (downloaded there when absent).
DATA ?= data/mnist
train: $(VENV)/.serve
	$(BIN)/python -m engine.examples.mnist --data $(DATA) --output service/models/digits/1

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
