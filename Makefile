# Every target makes what it needs: a fresh machine with Python 3.11+ and make is enough.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test soak check coverage bench fuzz clean picture

help:           ## list the targets
	@grep -hE '^[a-z]+: .*##|^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## */  make \1	/' | expand -t 18

# The stamp names what is installed, so that a changed pin or extra installs again.
$(VENV)/.demo: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -c constraints.txt -e '.[ui]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -c constraints.txt -e '.[ui,dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo    ## the live page: both twins side by side, on http://127.0.0.1:8050
	$(BIN)/holdfast demo $(ARGS)

test: $(VENV)/.dev     ## all tests but the long ones
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not soak"

soak: $(VENV)/.dev     ## the long tests too
	$(BIN)/python -m pytest -q --timeout 3600

check: $(VENV)/.dev    ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

coverage: $(VENV)/.dev ## which branches of secureos the tests reach: all, or it fails
	$(BIN)/python -m coverage run -m pytest -q -m "not soak" tests/secureos
	$(BIN)/python -m coverage report --fail-under=100

bench: $(VENV)/.dev    ## speed, as ratios measured in one run (other policy engines join once `.[bench]` is installed)
	$(BIN)/python -m tests.bench

fuzz: $(VENV)/.dev     ## the policy engine against a plain reading (ARGS="SECONDS SEED JOBS"), then hostile bytes
	$(BIN)/python -m tests.fuzz $(ARGS)
	$(BIN)/python -m tests.fuzz.modbus

picture: $(VENV)/.dev  ## make the README's picture anew (needs Chromium)
	$(BIN)/python -m tests.picture

clean:          ## remove what these targets made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
