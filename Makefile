# make serve, make test: everything they need is set up by themselves, given Python 3.11 and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: serve test check benchmark train clean

# One stamp for each set of dependencies: pip runs again only when pyproject.toml changed.
$(VENV)/.serve: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Beagle needs Python 3.11 or newer; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.serve
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

$(VENV)/.benchmark: pyproject.toml $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[benchmark]'
	touch $@

serve: $(VENV)/.serve
	$(BIN)/beagle serve

test: $(VENV)/.test check
	PATH="$(abspath $(BIN)):$$PATH" sh tests/install_servers.sh
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 tests/engine
	$(BIN)/python -m pytest --ignore tests/engine

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
