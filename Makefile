# make demo: install into .venv and run the main job on the embedded model, SAE and benchmarks.
# make test: install for development and run the tests.
# make perf: measure, each figure as a ratio in one run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

PAGE := src/competency_gaps/view/page/static/app.js
PAGE_SOURCES := $(shell find frontend -type f -not -path '*/node_modules/*')

.PHONY: demo test resolve tools slow fuzz kills perf lint page site gallery dist versions clean

demo: $(VENV)/.demo $(PAGE)
	$(BIN)/cgaps demo --out demo-run

# Two processes of one thread each; files stay whole, because fixtures of a file are made once per process. They are taken
# as they come: else the files of few but long tests would be left to the end, for one process alone.
test: $(VENV)/.dev $(PAGE)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# Source distribution and wheel, as a release has them.
dist:
	$(PYTHON) -m venv build/uv
	build/uv/bin/pip install --quiet --disable-pip-version-check uv
	build/uv/bin/uv build --out-dir dist .

# Tests that touch every dependency, on the oldest versions that users may get, or on the newest:
# make versions RESOLUTION=highest PYTHON=python3.13
RESOLUTION ?= lowest-direct
OTHER := build/$(RESOLUTION)
# What SAELens requires would bring a newer transformers than the oldest that run allows; the demo's must be newer.
OLDEST := $(if $(filter lowest-direct,$(RESOLUTION)),transformers==4.56.*)
versions: dist
	$(PYTHON) -m venv --clear $(OTHER)
	echo '$(OLDEST)' > $(OTHER).in
	build/uv/bin/uv pip compile --quiet --python $(OTHER)/bin/python --resolution $(RESOLUTION) --constraint $(OTHER).in \
		$(addprefix --extra ,dictionary explore hub inspect label robustness run) --no-emit-package competency-gaps \
		--output-file $(OTHER).txt pyproject.toml
	build/uv/bin/uv pip install --quiet --python $(OTHER)/bin/python --requirement $(OTHER).txt \
		hypothesis pytest pytest-timeout statsmodels
	build/uv/bin/uv pip install --quiet --python $(OTHER)/bin/python --no-deps "$$(ls -t dist/*.whl | head -n 1)" \
		'reasoning-gym>=0.1.20' pyfiglet
	OMP_NUM_THREADS=1 $(OTHER)/bin/python -m pytest $(addprefix tests/,cli concepts embedded evidence findings \
		items logs/test_inspect_logs.py model pipeline/test_pipeline.py runs sae scoring slices \
		util/test_lock.py view/test_mcp.py view/test_server.py)

# The oldest and the newest versions, resolved and not installed; a wheel that is built, installed and used.
resolve: $(VENV)/.dev $(PAGE)
	$(BIN)/pytest -m slow tests/packaging

# Logs that lm-eval, Inspect and garak write now, and the examples, without a network.
tools: $(VENV)/.dev
	$(BIN)/pytest -m slow tests/logs tests/examples

slow: $(VENV)/.dev
	$(BIN)/pytest -m slow

# Commands killed at random moments; reading, asking and downloading that is killed; Ray and a store on this machine.
kills: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python validation/kill.py --kills 5 --what run score
	OMP_NUM_THREADS=1 $(BIN)/pytest -m slow -n 2 --dist loadfile --no-loadscope-reorder \
		tests/pipeline tests/runs tests/scoring tests/concepts tests/embedded tests/improve

# Mutated files, half a minute for each reader.
fuzz: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python validation/fuzz.py --minutes 0.5 --jobs 2

# Every script of perf/README.md, at small sizes.
perf: $(VENV)/.dev $(PAGE)
	bash perf/all.sh $(BIN)/python

lint: $(VENV)/.dev | frontend/node_modules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy perf/*.py
	MYPYPATH=perf:tests:tests/fuzzing $(BIN)/mypy validation/*.py
	$(BIN)/python recipes/page_types.py --check
	cd frontend && npm run --silent check && npm run --silent test

# The explorer's page again, after its sources changed. Installing the package builds it, with Node.js from its wheel
# where the machine has none.
page: $(PAGE)

$(PAGE): $(PAGE_SOURCES) | $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

# The documents as a site, in site/; a broken link fails.
site: $(VENV)/.dev $(PAGE)
	$(BIN)/python docs/make_site.py

# The site with its gallery, from the demo's run: the tests build it. The demo's screens must look as the pages show them;
# notebooks and blocks of the pages run.
gallery: demo $(VENV)/.dev
	$(BIN)/python docs/record.py --check --run demo-run=demo-run docs/*.md
	OMP_NUM_THREADS=1 $(BIN)/pytest -m slow -n 2 --dist loadfile tests/docs

frontend/node_modules: frontend/package-lock.json
	cd frontend && npm ci --silent --ignore-scripts
	touch $@

$(VENV)/.demo: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing torch, transformers and some 70 small packages into $(VENV): a minute or three, and quiet."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	touch $@

$(VENV)/.dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing some 300 packages for development into $(VENV): several minutes, and quiet."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'reasoning-gym>=0.1.20'
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) frontend/node_modules src/competency_gaps/view/page/static demo-run build dist site .pytest_cache .ruff_cache .mypy_cache
