# Every target works alone on a fresh clone. Needs Python >= 3.10 with venv, and Node >= 20 with npm.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
NOTEBOOK ?= notebooks/quickstart.ipynb
# Of the tests without a browser; those with one share it, and run one after the other.
WORKERS ?= 2

# Containers often run as root, which JupyterLab refuses unless it is told that this is meant.
LAB_FLAGS := $(shell [ "$$(id -u)" = 0 ] && echo --allow-root)

# The listing runs in kernels; its text travels in JupyterLab's extension, and so does the version.
FRONT_END := $(shell find js/src js/page js/dev js/lab -type f -not -path '*/dist/*') js/build.mjs js/packed.mjs js/labextension.mjs \
	js/package-lock.json weightwidget/outputs/listing.py weightwidget/__init__.py
STATIC := weightwidget/static/widget.js
TOOLS := $(VENV)/.tools
PINS := pyproject.toml constraints.txt

# JupyterLab looks here for extensions. A copy, for some servers give out nothing that a link leads to.
LABEXTENSIONS := $(VENV)/share/jupyter/labextensions
COPY_EXTENSION = mkdir -p $(LABEXTENSIONS) && rm -rf $(LABEXTENSIONS)/weightwidget && \
	cp -R weightwidget/labextension $(LABEXTENSIONS)/weightwidget

.PHONY: demo test bench install lint build clean format

demo: $(VENV)/.demo $(STATIC)  ## open JupyterLab on the quickstart
	$(BIN)/jupyter lab $(LAB_FLAGS) --LabApp.default_url=/lab/tree/$(NOTEBOOK)

test: $(VENV)/.test js/node_modules/.installed $(STATIC)  ## all tests, browser ones included
	$(BIN)/python tests/browser/chromium.py
	cd js && npm run --silent test
	$(BIN)/python -m pytest -m "not browser and not lab" -n $(WORKERS) --dist loadfile
	$(BIN)/python -m pytest -m "browser or lab"

bench: $(VENV)/.bench $(STATIC)  ## what things cost, into benchmarks/RESULTS.md; best on a quiet machine
	$(BIN)/python tests/browser/chromium.py
	$(BIN)/python -m benchmarks

install: $(VENV)/.demo $(STATIC)  ## the package and what the notebooks use, into .venv

lint: $(VENV)/.dev js/node_modules/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd js && npm run --silent check

format: $(VENV)/.dev js/node_modules/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cd js && npx biome check --write .

build: $(VENV)/.dev  ## the wheel, front end included
	rm -rf dist weightwidget/static weightwidget/labextension
	$(BIN)/python -m build --wheel
	$(BIN)/python tests/check_wheel.py dist/*.whl

clean:
	rm -rf $(VENV) dist build weightwidget/static weightwidget/labextension js/node_modules js/dev/dist js/test/dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(TOOLS):
	@command -v npm >/dev/null || { echo "npm was not found: install Node 20 or newer (it builds the front end)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip
	touch $@

$(VENV)/.demo: $(TOOLS) $(PINS)
	$(PIP) install -c constraints.txt -e '.[demo]'
	$(COPY_EXTENSION)
	touch $@

$(VENV)/.test: $(TOOLS) $(PINS)
	$(PIP) install -c constraints.txt -e '.[test]'
	$(COPY_EXTENSION)
	touch $@ $(VENV)/.demo

$(VENV)/.bench: $(TOOLS) $(PINS)
	$(PIP) install -c constraints.txt -e '.[bench]'
	$(COPY_EXTENSION)
	touch $@ $(VENV)/.test $(VENV)/.demo

$(VENV)/.dev: $(TOOLS) $(PINS)
	$(PIP) install -c constraints.txt -e '.[dev]'
	$(COPY_EXTENSION)
	touch $@ $(VENV)/.test $(VENV)/.demo

js/node_modules/.installed: js/package.json js/package-lock.json
	cd js && npm install --no-save --no-audit --no-fund --silent
	touch $@

$(STATIC): js/node_modules/.installed $(FRONT_END)
	cd js && npm run --silent build
	$(COPY_EXTENSION)
	touch $@
