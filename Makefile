# make run: fresh clone to report · make test: fresh clone to green tests · make setup: what both need
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup run test clean

setup: .venv/.ready

# torch first and pinned: a free range would fetch the CUDA build with gigabytes of libraries.
.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "error: $(PYTHON) is not Python 3.11 to 3.13"; echo "  fix: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' requirements.lock)"
	$(BIN)/python -m pip install --quiet -r requirements.lock
	@touch $@

run: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro
	@$(BIN)/python -m pipeline.report --summary

test: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n auto

clean:
	rm -rf .venv artifacts reports state
