# Two commands do everything: `make demo` and `make test`. Both build .venv first, and only when requirements changed.
PYTHON ?= python3
JOBS ?= 2# processes that run tests
BIN := .venv/bin
DEMO := outputs/text_to_3d/a-red-dog-wearing-a-blue-hat-0
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint bench clean

demo: .venv/.run
	@test -f $(DEMO)/metrics.json || $(BIN)/python launch.py prompt="a red dog wearing a blue hat"
	@echo "Open index.html in"
	@echo "$(DEMO)"

test: .venv/.dev
	HF_HUB_OFFLINE=1 WANDB_MODE=offline OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

lint: .venv/.dev
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: .venv/.run
	$(BIN)/python -m benchmarks.kernels
	$(BIN)/python -m benchmarks.raster
	$(BIN)/python -m benchmarks.step

# A venv that fails half-way already has its python, so that make would never try again
.venv/bin/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	{ echo "fourview needs Python 3.11 or newer as $(PYTHON): say make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.run: requirements.txt | .venv/bin/python
	$(INSTALL) -r requirements.txt
	touch $@

.venv/.dev: requirements-dev.txt requirements.txt | .venv/bin/python
	$(INSTALL) -r requirements-dev.txt
	touch .venv/.run $@

clean:
	rm -rf .venv outputs multirun .pytest_cache .mypy_cache .ruff_cache
