# Every target sets up what it needs; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast check fix bench lock docs docs-links screenshots release clean

PYTHON ?= python3
UV_VERSION := 0.13.9
# The uv on PATH, or else one of our own: nothing is installed in the user's home or the system.
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
BIN := .venv/bin

PROJECT := {{cookiecutter.project_slug}}
DEFAULT_SLUG := flight-delays
WORKFLOWS := .github/workflows/ci.yml $(patsubst %,"$(PROJECT)/.github/workflows/%.yml",ci dependencies)
# Cookiecutter notes the last answers in the home folder, and reads defaults there: give it a home of our own.
BAKE := HOME="$(CURDIR)/build/home" $(BIN)/cookiecutter . --no-input --default-config --overwrite-if-exists
# From the repository's root, so that links between files are those of a forge; nothing is fetched.
SPHINX := $(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs -d build/doctrees

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: .venv/.stamp ## Install the template's own tools into .venv

demo: setup ## Generate the example project and run its training DAG to a deployed model
	@# Files that have left the template since the last demo would still be there; its models and environment stay.
	@mkdir -p build/demo/$(DEFAULT_SLUG)
	@find build/demo/$(DEFAULT_SLUG) -mindepth 1 -maxdepth 1 ! -name .tools ! -name .venv ! -name var -exec rm -rf {} +
	@$(BAKE) --output-dir build/demo
	@$(MAKE) --no-print-directory -C build/demo/$(DEFAULT_SLUG) run UV="$(abspath $(UV))"

test: check ## Run everything that CI runs
	@# In the order that tests/conftest.py gives them, the longest first.
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder --durations 20

test-fast: setup ## Lint, and test all that needs no environment or Airflow; under a minute
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest -n auto -m "not slow"

check: setup ## Lint, type-check, and check the workflow files and the Dockerfile
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/actionlint -shellcheck= -pyflakes= $(WORKFLOWS)
	$(BIN)/zizmor --offline --no-progress --quiet $(WORKFLOWS)
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows $(WORKFLOWS)
	$(BIN)/check-jsonschema --builtin-schema vendor.gitlab-ci "$(PROJECT)/.gitlab-ci.yml"
	$(BIN)/hadolint "$(PROJECT)/deploy/Dockerfile"

fix: setup ## Format, and repair what the linter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: setup ## Measure what the README claims in figures
	$(BIN)/python benchmarks/run.py --profile

lock: setup ## Take newer versions into the locks: the template's and the project's
	$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" --output-file requirements.lock pyproject.toml
	$(BIN)/python tools/lock.py "$(abspath $(UV))"

docs: setup ## Build the site in build/docs; a link or a reference that leads nowhere within it is an error
	@rm -rf build/api build/docs
	@$(BAKE) --output-dir build/api git_init=no >/dev/null
	@$(SPHINX) -b html . build/docs
	@echo "build/docs/index.html"

docs-links: docs ## Look up the site's links to the outside; says so where there is no network
	@rm -rf build/links
	@$(SPHINX) -b linkcheck . build/links >/dev/null 2>&1 || true # broken links are told below
	@$(BIN)/python tools/links.py build/links/output.json

screenshots: setup ## Take the README's pictures anew
	$(BIN)/python docs/screenshots.py

release: setup ## Commit and tag a release, to be pushed by hand: make release VERSION=1.2.0
	@$(BIN)/python tools/release.py "$(VERSION)"

clean: ## Remove what these commands have made
	rm -rf .venv .tools build .mypy_cache .pytest_cache .ruff_cache

.venv/.stamp: requirements.lock | $(UV)
	@echo "Installing the template's tools into .venv"
	@$(UV) venv --quiet --clear .venv
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes --python .venv requirements.lock
	@touch $@

.tools/bin/uv:
	@command -v $(PYTHON) >/dev/null 2>&1 || \
	  { echo "No $(PYTHON) on PATH. Install Python 3.11 to 3.13, or say where it is: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$$($(PYTHON) --version) is too old: Python 3.11 to 3.13 is needed, as in make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing uv $(UV_VERSION) into .tools"
	@$(PYTHON) -m venv --clear .tools/venv
	@.tools/venv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@mkdir -p .tools/bin
	@ln -sf ../venv/bin/uv $@
