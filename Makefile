# Two commands matter to a user: `make demo` and `make test`. Each makes its own environment once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint bench clean

demo: $(READY)
	$(BIN)/auditor demo -o demo-audit

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check auditor
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/pip install -q -e '.[bench]'
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/detection.py
	$(BIN)/python benchmarks/gate.py

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 12), "auditor needs Python 3.11 or 3.12; say make PYTHON=python3.11"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q -e '.[test]'
	touch $(READY)

clean:
	rm -rf $(VENV) build dist *.egg-info demo-audit
