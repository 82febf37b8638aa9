# Needs Python 3.11 and make. Everything runs in .venv, which is created when missing and installed
# again only when the pins change: the stamp's name is a checksum of the two files that hold them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
WORKSPACE ?= $(or $(HHMNET_WORKSPACE),workspace)
UI_HOST ?= 127.0.0.1
UI_PORT ?= 5000
EXTRAS ?= dev

BIN := .venv/bin
STAMP := .venv/.pins-$(shell cat pyproject.toml constraints.txt | cksum | tr ' ' '-')

.DEFAULT_GOAL := help
.PHONY: help .venv install demo poses test test-slow test-lowest faults rehearsal lint bench ui clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Creating a venv over an existing one with another Python would mix the two, so a working one is kept.
$(STAMP):
	@$(BIN)/python -c 'import pip, ssl' 2> /dev/null || $(MAKE) --no-print-directory .venv
	rm -f .venv/.pins-*
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

.venv:
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: '$(PYTHON)' is not Python 3.11 or newer. Install one, or name it: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv --clear .venv

install: $(STAMP) ## install the package with EXTRAS=dev, every dependency pinned

demo: $(STAMP) ## train both phases and the ensemble on synthetic skeletons and video
	$(BIN)/python experiments/pipeline.py

poses: $(STAMP) ## fetch BlazePose, for skeletons from video (prepare.py poses); 36 MB from the package registry
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[$(EXTRAS),poses]'
	$(BIN)/python -m hhmnet_core.poses.fetching

# Three processes on two cores: many tests wait for processes of theirs to start.
# A worker that crashed is not replaced: pytest-xdist 3.8 may wait forever for tests of the new one.
test: $(STAMP) ## every test but the slow ones
	$(BIN)/python -m pytest -m 'not slow' -n 3 --dist loadfile --no-loadscope-reorder \
	    --max-worker-restart=0 --durations=15

test-slow: $(STAMP) ## the slow tests
	$(BIN)/python -m pytest -m slow --timeout=3600 --durations=0

# torch is the locked one: earlier CPU builds are hard to come by.
LOWEST := .venv-lowest/bin
test-lowest: ## the unit tests on the lowest versions that pyproject.toml allows, in .venv-lowest
	$(PYTHON) -m venv --clear .venv-lowest
	$(LOWEST)/python -m pip install --quiet uv
	grep '^torch==' constraints.txt > .venv-lowest/torch.txt
	$(LOWEST)/uv pip install --python $(LOWEST)/python --resolution lowest-direct \
		--constraint .venv-lowest/torch.txt --editable '.[test]'
	$(LOWEST)/python -m pytest -m 'not (slow or integration or browser or locked)' -n 2 --dist loadfile --durations=15

faults: $(STAMP) ## damaged files, wrong options, kills, full disks; SEED=1, ONLY=id, FULL=1 for all
	PYTHONPATH='$(CURDIR)/tests' $(BIN)/python -m faults.run --out '$(WORKSPACE)/faults' \
		$(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only '$(ONLY)') $(if $(FULL),--full)

rehearsal: $(STAMP) ## rehearse a cluster on hosts made on this machine: ray up, jobs, a lost host; root on Linux
	$(BIN)/python cluster/rehearsal/rehearse.py

lint: $(STAMP) ## check style, types, and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(STAMP) ## run every benchmark; the report goes to WORKSPACE=workspace
	mkdir -p '$(WORKSPACE)'
	$(BIN)/python benchmarks/run_all.py --out '$(WORKSPACE)/benchmarks.md'

ui: export HHMNET_WORKSPACE = $(WORKSPACE)
ui: $(STAMP) ## open MLflow on WORKSPACE=workspace at UI_HOST=127.0.0.1 UI_PORT=5000; LOGIN=1: ask for a password
	exec $(BIN)/python experiments/ui.py --host $(UI_HOST) --port $(UI_PORT) --login $(if $(filter 1 yes true,$(LOGIN)),true,false)

clean: ## remove caches and builds; keep .venv and the workspace
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find experiments hhmnet_core platform tests -name __pycache__ -prune -exec rm -rf {} +
