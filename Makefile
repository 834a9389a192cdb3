# Hookline. `make` alone says what there is.
# GNU make 3.81 is enough, which is what macOS has.

SHELL = /bin/sh
.DEFAULT_GOAL = help

VENV = .venv
BIN = $(VENV)/bin

# Set PYTHON to choose an interpreter; else the first of these that is new enough makes the virtual environment.
PYTHON ?=
PYTHONS = $(if $(PYTHON),$(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
SUITABLE = import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

PIP = $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL = $(PIP) install --quiet --require-hashes
INSTALL_HOOKLINE = $(PIP) install --quiet --no-deps --no-build-isolation --editable .
# Six at a time also on two cores: many of them wait. Without that variable each of them would compile all tests anew.
PYTEST = env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 6 --dist loadfile --no-loadscope-reorder

# A virtual environment holds absolute paths, to its interpreter and to this checkout: it is made anew
# when either has moved.
PLACE = $(VENV)/.place
ifneq ($(shell test -x $(BIN)/python && cat $(PLACE) 2>/dev/null),$(CURDIR))
MOVED = moved
endif

# Touched when everything in the lock file is installed, so that the next time takes no time.
RUN_READY = $(VENV)/.ready-to-run
TEST_READY = $(VENV)/.ready-to-test

.PHONY: help run test test-all check bench bench-quick faults format pictures setup lock docs moved

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(RUN_READY) ## set everything up and run the service until Ctrl-C
	@exec env HOOKLINE_DEV_PARENT=$$PPID $(BIN)/hookline dev

test: $(TEST_READY) ## set everything up and run the tests (ARGS="-k name" for some)
	@$(PYTEST) $(ARGS)

test-all: $(TEST_READY) ## the same with the tests that are marked thorough, which take minutes more
	@$(PYTEST) --hypothesis-profile thorough -m "thorough or not thorough" $(ARGS)

check: $(TEST_READY) ## format, lint, types, import arrows, lock files, the manual of the commands
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python .ci/locks.py check
	@$(BIN)/python .ci/cli_page.py check

bench: $(TEST_READY) ## measure it beside its peers, in under ten minutes (ARGS="--only ingest" for some)
	@$(BIN)/python -m bench $(ARGS)

bench-quick: $(TEST_READY) ## the same in under a minute, to see that all of it still works: judges no times
	@$(BIN)/python -m bench --quick $(ARGS)

faults: $(TEST_READY) ## break it in every way of the fault matrix and count what is left (MINUTES=60 for a soak)
	@$(BIN)/python -m tests.faults $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

pictures: $(TEST_READY) ## draw the messages of docs/alerts.md anew, from their golden files
	@$(BIN)/python docs/pictures/render.py

format: $(TEST_READY) ## put the code in its usual form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

setup: $(TEST_READY) ## make .venv with everything for running and developing
	@echo "$(VENV) is ready"

lock: $(TEST_READY) ## make the lock files from pyproject.toml (ARGS=--upgrade for newer versions)
	@$(BIN)/python .ci/locks.py make $(ARGS)

docs: $(TEST_READY) ## make docs/cli.md from the help texts and the sessions of the tests
	@$(BIN)/python .ci/cli_page.py make

$(PLACE): $(MOVED)
	@for python in $(PYTHONS); do \
	  if "$$python" -c '$(SUITABLE)' >/dev/null 2>&1; then \
	    echo "making $(VENV) with $$python"; \
	    "$$python" -m venv --clear $(VENV) || exit 1; \
	    printf '%s\n' '$(CURDIR)' > $@; \
	    exit 0; \
	  fi; \
	done; \
	echo 'Hookline needs Python 3.11 or newer with its venv module, and found none (tried: $(PYTHONS)): install it (on Debian and Ubuntu also python3-venv), or run make with PYTHON=/path/to/python.' >&2; \
	exit 1

$(RUN_READY): $(PLACE) requirements.txt pyproject.toml
	@echo 'installing what it needs to run: a minute or so, the first time'
	@$(INSTALL) -r requirements.txt
	@$(INSTALL_HOOKLINE)
	@touch $@

$(TEST_READY): $(PLACE) requirements.txt requirements-dev.txt pyproject.toml
	@echo 'installing what it needs to run and to be tested: a minute or so, the first time'
	@$(INSTALL) -r requirements-dev.txt
	@$(INSTALL_HOOKLINE)
	@touch $(RUN_READY) $@
