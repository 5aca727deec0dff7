# Two commands matter to a user: `make demo` and `make test`. Each makes its own environment once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES := $(shell nproc 2>/dev/null || echo 2)
READY := $(VENV)/.ready

.PHONY: demo test lint bench fuzz audit-deps kills pictures clean

demo: $(READY)
	$(BIN)/auditor demo -o demo-audit

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/pip install -q -e '.[bench]'
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/detection.py
	$(BIN)/python benchmarks/gate.py
	$(BIN)/python benchmarks/overlap.py

# Ten minutes; a finding stops it and stays behind as crash-* in fuzz-out.
fuzz: $(READY)
	$(BIN)/pip install -q -e '.[fuzz]'
	mkdir -p fuzz-out
	cd fuzz-out && nice -n 19 ../$(BIN)/python ../tests/fuzz.py manifest 300
	cd fuzz-out && nice -n 19 ../$(BIN)/python ../tests/fuzz.py images 300

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 12), "auditor needs Python 3.11 or 3.12; say make PYTHON=python3.11"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q -e '.[test]'
	touch $(READY)

# Known vulnerabilities of the installed versions, from PyPI's advisory database; an error too where it cannot be asked.
audit-deps: $(READY)
	$(BIN)/pip install -q 'pip-audit>=2.7,<3'
	$(BIN)/python tests/advisories.py

# Kills audits at random points for as long as one likes; CI's own share is 54 of them.
kills: $(READY)
	AUDITOR_KILLS=500 AUDITOR_KILLS_SEED=$$(date +%s) $(BIN)/python -m pytest tests/experiment/test_resume.py

# The README's pictures, from the demo's digits; needs chromium and chromedriver.
pictures: $(READY)
	AUDITOR_SCREENSHOTS=docs $(BIN)/python -m pytest -n 0 tests/browser/test_readme_round.py

clean:
	rm -rf $(VENV) build dist *.egg-info demo-audit
