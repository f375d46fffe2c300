# Two commands do everything: `make demo` and `make test`. Both build .venv first, and only when requirements changed.
PYTHON ?= python3
BIN := .venv/bin
DEMO := outputs/text_to_3d/a-red-dog-wearing-a-blue-hat-0

.PHONY: demo test lint bench clean

demo: .venv/.run
	@test -f $(DEMO)/metrics.json || $(BIN)/python launch.py prompt="a red dog wearing a blue hat"
	@echo "Open $(DEMO)/index.html"

test: .venv/.dev
	HF_HUB_OFFLINE=1 WANDB_MODE=offline $(BIN)/python -m pytest

lint: .venv/.dev
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: .venv/.run
	$(BIN)/python -m benchmarks.kernels
	$(BIN)/python -m benchmarks.step

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.run: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/.dev: requirements-dev.txt requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch .venv/.run $@

clean:
	rm -rf .venv outputs multirun .pytest_cache .mypy_cache .ruff_cache
