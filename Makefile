# Every target does its own set-up: all it needs is Python 3.11 or newer and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# One thread per test process: two workers' thread pools would spin against each other. A file's
# tests share one worker, and so its fixtures; bytecode is kept, for workers and subprocesses.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
          $(BIN)/python -m pytest -n auto --dist loadfile
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint format bench notebooks docs linkcheck dist clean

help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "odemom needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp per set of extras, renewed when the dependencies change.
$(VENV)/.train: pyproject.toml | $(BIN)/python
	@echo "installing odemom[train] into $(VENV) (PyTorch is large: a minute or more)"
	$(PIP) -e '.[train]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing odemom[dev] into $(VENV) (PyTorch is large: a minute or more)"
	$(PIP) -e '.[dev]'
	@touch $@

demo: $(VENV)/.train   ## the guided tour, written to results/demo/index.html
	$(BIN)/odemom demo --out results/demo

test: lint             ## lint, types and tests
	$(PYTEST)

test-all: lint         ## the same with the cases marked slow, and coverage, which doubles the time
	$(PYTEST) -m '' --cov --cov-report=term

lint: $(VENV)/.dev     ## ruff and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.dev   ## rewrite in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.bench: pyproject.toml | $(VENV)/.dev
	$(PIP) -e '.[bench]'
	@touch $@

bench: $(VENV)/.bench  ## ratios against named peers, written to results/bench (an hour)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.psi --out results/bench
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.decision --out results/bench
	$(BIN)/python -m benchmarks.reversible --out results/bench
	$(BIN)/python -m benchmarks.ode --out results/bench
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.zoo --out results/bench
	$(BIN)/python -m benchmarks.explore --out results/bench || echo "no browser: the explorer is left out"

notebooks: $(VENV)/.dev   ## execute the notebooks in place
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python scripts/execute_notebooks.py

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	@echo "installing odemom[docs] into $(VENV) (PyTorch is large: a minute or more)"
	$(PIP) -e '.[docs]'
	@touch $@

SPHINX := $(BIN)/python -m sphinx -W --keep-going -q -d build/doctrees

docs: $(VENV)/.docs    ## the manual, written to build/manual/index.html; warnings are errors
	$(SPHINX) -b html docs build/manual
	@echo "build/manual/index.html"

linkcheck: $(VENV)/.docs  ## the manual's links to other sites, which needs the network
	$(SPHINX) -b linkcheck docs build/linkcheck

$(VENV)/.build: | $(BIN)/python
	$(PIP) 'build>=1.2'
	@touch $@

dist: $(VENV)/.build   ## wheel and source in dist/, tried in an empty environment
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m scripts.try_wheel dist/*.whl

clean:                 ## remove what the targets made
	rm -rf $(VENV) results build dist docs/gallery docs/made docs/notebooks docs/reference/generated *.egg-info .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
