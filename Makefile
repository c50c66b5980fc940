# make demo: install into .venv and run the main job on the embedded model, SAE and benchmarks.
# make test: install for development and run the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test harnesses slow lint clean

demo: $(VENV)/.demo
	$(BIN)/cgaps demo --out demo-run

# Two processes of one thread each; files stay whole, because fixtures of a file are made once per process.
test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

# Real harnesses on the embedded model: minutes.
harnesses: $(VENV)/.dev
	$(BIN)/pytest -m slow tests/tasks/test_embedded_equal.py

slow: $(VENV)/.dev
	$(BIN)/pytest -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.demo: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	touch $@

$(VENV)/.dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) demo-run build dist .pytest_cache .ruff_cache .mypy_cache
