# A user needs two commands: `make demo` and `make test`. The first one that runs makes the environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES := $(shell nproc 2>/dev/null || echo 2)
READY := $(VENV)/.ready

.PHONY: demo test test-pythons slow lint docs bench fuzz audit-deps kills pictures clean

demo: $(READY)
	$(BIN)/auditor demo -o demo-audit

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist loadfile

# The tests on every Python from 3.11 to 3.14 that this machine has; TESTS="tests/gate" runs a part. noxfile.py says more.
# A Python's first time takes a download of up to 3 GB and 6 GB of disk in .nox/.
test-pythons: $(READY)
	$(BIN)/pip install -q 'nox>=2024.10,<2028'
	$(BIN)/nox $(if $(TESTS),-- $(TESTS))

# The tests that carry the marker `slow`; `make test` leaves them out.
slow: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist loadfile -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The pages as a site in site/. A broken link, or a page that loads anything from the network, is an error.
docs: $(READY)
	$(BIN)/pip install -q -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Hours on two cores. The rows go to benchmarks/results/.
bench: $(READY)
	$(BIN)/pip install -q -e '.[bench]'
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/detection.py
	$(BIN)/python benchmarks/gate.py
	$(BIN)/python benchmarks/overlap.py

# Takes ten minutes. A finding stops it and leaves a file crash-* in fuzz-out.
fuzz: $(READY)
	$(BIN)/pip install -q -e '.[fuzz]'
	mkdir -p fuzz-out
	cd fuzz-out && nice -n 19 ../$(BIN)/python ../tests/fuzz.py manifest 300
	cd fuzz-out && nice -n 19 ../$(BIN)/python ../tests/fuzz.py images 300

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 14), "auditor needs Python 3.11 to 3.14; say make PYTHON=python3.11"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q -e '.[test]'
	touch $(READY)

# Asks PyPI's advisory database about the installed versions. It is an error too if the database cannot be asked.
audit-deps: $(READY)
	$(BIN)/pip install -q 'pip-audit>=2.7,<3'
	$(BIN)/python tests/advisories.py

# Kills 500 audits at random points. `make test` kills 54.
kills: $(READY)
	AUDITOR_KILLS=500 AUDITOR_KILLS_SEED=$$(date +%s) $(BIN)/python -m pytest tests/experiment/test_resume.py

# Takes the README's pictures again, from the demo's digits. Needs chromium and chromedriver.
pictures: $(READY)
	AUDITOR_SCREENSHOTS=docs $(BIN)/python -m pytest -n 0 tests/browser/test_readme_round.py

clean:
	rm -rf $(VENV) .nox build dist *.egg-info demo-audit site
