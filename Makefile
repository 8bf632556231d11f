# Every target sets up what it needs; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup engine demo test test-fast test-engine test-template test-all test-long test-heavy test-faults \
	check fix bench lock docs docs-links screenshots release clean

PYTHON ?= python3
UV_VERSION := 0.13.9
# The uv on PATH, or else one of our own: nothing is installed in the user's home or the system.
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
# Two environments: the template's tools, and the engine with all that a generated project has.
BIN := .venv/bin
ENGINE := .venv-engine/bin

PROJECT := {{cookiecutter.project_slug}}
DEFAULT_SLUG := flight-delays
ENGINE_BENCHMARKS := $(shell grep -l "^from modelworks" benchmarks/*.py)
ENGINE_LOCKS := $(foreach lock,requirements frameworks/lightgbm frameworks/xgboost,"$(PROJECT)/$(lock).lock") tests/requirements.lock
# The project's Python files are plain; its pyproject.toml, which ruff would look for, is not until it is rendered.
PROJECT_PYTHON := $(addprefix "$(PROJECT)"/,src/*/*.py dags/*.py tests/*.py examples/*/*.py deploy/*/*.py)
RUFF_PROJECT := --config pyproject.toml $(PROJECT_PYTHON)
WORKFLOWS := .github/workflows/ci.yml .github/workflows/nightly.yml $(patsubst %,"$(PROJECT)/.github/workflows/%.yml",ci dependencies environments)
# Cookiecutter writes the last answers into the home folder, and reads defaults there: give it a home of our own.
BAKE := HOME="$(CURDIR)/build/home" $(BIN)/cookiecutter . --no-input --default-config --overwrite-if-exists
# From the repository's root, so that links between files are those of a forge; nothing is fetched.
SPHINX := $(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs -d build/doctrees
# tests/conftest.py and the fault injection are the engine's, whose packages the template's environment lacks.
TEMPLATE_TESTS := $(BIN)/pytest --confcutdir tests/template --ignore=tests/system/faults -W error
PARALLEL := -n auto --durations 20
# Minutes each, on a live scheduler, in several bakes or with each page followed: at night.
LONG_TESTS := $(addprefix tests/system/,test_adopted_tables.py test_benchmarks.py test_cluster.py test_environments.py \
	test_examples.py test_frameworks.py test_full_disks.py test_interruptions.py test_kubeflow.py test_live.py test_machines.py \
	test_message_queue.py test_observe.py test_periods.py test_pythons.py test_real_tables.py test_secrets.py \
	test_sources.py test_spark.py test_stack.py test_story.py) \
	$(addprefix tests/template/,test_how_to.py test_official_chart.py test_site.py)
LONG_CASES := tests/system/test_run.py::test_source_may_be_a_web_server tests/system/test_run.py::test_source_and_storage_may_be_s3 \
	tests/template/test_release.py::test_the_template_itself_is_released_once_its_checks_pass

##@ set up
help: ## List the commands
	@awk -F ':.*## ' '/^##@/ { printf "%s%s\n", n++ ? "\n" : "", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: .venv/.stamp ## Install the template's own tools into .venv

engine: .venv-engine/.stamp ## Install the engine, editable, and what a generated project has into .venv-engine

demo: setup ## Generate the example project and run its training DAG to a deployed model
	@# Files that have left the template since the last demo would still be there; its models and environment stay.
	@mkdir -p build/demo/$(DEFAULT_SLUG)
	@find build/demo/$(DEFAULT_SLUG) -mindepth 1 -maxdepth 1 ! -name .tools ! -name .venv ! -name var -exec rm -rf {} +
	@$(BAKE) --output-dir build/demo
	@$(MAKE) --no-print-directory -C build/demo/$(DEFAULT_SLUG) run UV="$(abspath $(UV))"

##@ test
test: check test-engine test-template ## Run everything that CI runs on a change

test-fast: setup engine ## Lint, and test all that is not marked as slow
	$(BIN)/ruff check
	$(ENGINE)/pytest -n auto -m "not slow" tests/unit
	$(TEMPLATE_TESTS) -n auto -m "not slow" tests/template

test-engine: engine ## Test the engine, without a bake [ARGS="-k monitoring"]
	@# In the order that tests/conftest.py gives them, the longest first.
	$(ENGINE)/pytest $(PARALLEL) --dist loadfile --no-loadscope-reorder tests/unit tests/integration $(ARGS)

test-template: setup engine ## Test bakes, and generated projects with real stacks, databases and browsers [ARGS="-k stack"]
	@# In the order that tests/system/conftest.py gives them, the longest first.
	$(TEMPLATE_TESTS) $(PARALLEL) --dist loadfile --no-loadscope-reorder -m "not heavy" \
	  $(addprefix --ignore=,$(LONG_TESTS)) $(addprefix --deselect=,$(LONG_CASES)) tests/template tests/system $(ARGS)

test-all: test test-long test-heavy test-faults ## Run what CI runs at night as well: frameworks, fault injection and the live year

test-long: setup engine ## Test adopted tables, the live scheduler and every page that has steps, minutes each [ARGS="-k story"]
	$(TEMPLATE_TESTS) $(PARALLEL) --dist loadfile --no-loadscope-reorder -m "not heavy" $(LONG_TESTS) $(LONG_CASES) $(ARGS)

test-heavy: setup ## Run the live year, and projects on PyTorch and on Keras, in environments of 2 to 3 GB [ARGS="-k pytorch"]
	$(TEMPLATE_TESTS) -m heavy tests/system $(ARGS)

test-faults: engine ## Kill, fill and lock what the pipeline stands on, and see that it recovers [ARGS="-k disk"]
	$(ENGINE)/pytest --confcutdir=tests/system/faults tests/system/faults $(ARGS)

##@ develop
check: setup engine ## Lint, type-check, check the direction of imports, the workflow files and the Dockerfile
	$(BIN)/ruff check
	$(BIN)/ruff check $(RUFF_PROJECT)
	$(BIN)/ruff format --check
	$(BIN)/ruff format --check $(RUFF_PROJECT)
	$(BIN)/mypy
	cd modelworks && ../$(ENGINE)/mypy
	@# In the template's environment, where the others are checked, the engine's names would be anything.
	cd modelworks && ../$(ENGINE)/mypy --no-warn-unused-ignores $(addprefix ../,$(ENGINE_BENCHMARKS))
	cd modelworks && ../$(ENGINE)/lint-imports
	$(BIN)/actionlint -shellcheck= -pyflakes= $(WORKFLOWS)
	$(BIN)/zizmor --offline --no-progress --quiet $(WORKFLOWS)
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows $(WORKFLOWS)
	$(BIN)/check-jsonschema --builtin-schema vendor.gitlab-ci "$(PROJECT)/.gitlab-ci.yml"
	@# Its patterns are not those of the newest standard.
	$(BIN)/check-jsonschema --builtin-schema vendor.azure-pipelines --data-transform azure-pipelines \
	  --regex-variant nonunicode "$(PROJECT)/azure-pipelines.yml"
	$(BIN)/hadolint "$(PROJECT)/deploy/Dockerfile"

fix: setup ## Auto-fix lint and formatting
	$(BIN)/ruff check --fix
	$(BIN)/ruff check --fix $(RUFF_PROJECT)
	$(BIN)/ruff format
	$(BIN)/ruff format $(RUFF_PROJECT)

bench: setup engine ## Measure the figures of docs/measurements.md
	$(BIN)/python benchmarks/run.py --profile

lock: setup ## Take newer versions into the locks: the template's and the project's
	$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" --output-file requirements.lock pyproject.toml
	$(BIN)/python tools/lock.py "$(abspath $(UV))"

##@ docs and releases
docs: setup ## Build the site in build/docs; a link or a reference that leads nowhere within it is an error
	@rm -rf build/docs
	@$(SPHINX) -b html . build/docs
	@echo "build/docs/index.html"

docs-links: docs ## Look up the site's links to the outside; says so where there is no network
	@rm -rf build/links
	@$(SPHINX) -b linkcheck . build/links >/dev/null 2>&1 || true # broken links are reported below
	@$(BIN)/python tools/links.py build/links/output.json

screenshots: setup ## Retake the pictures of README and docs
	$(BIN)/python docs/screenshots.py

release: setup ## Commit and tag a release, to be pushed by hand: make release VERSION=1.2.0
	@$(BIN)/python tools/release.py "$(VERSION)"

clean: ## Remove what these commands have made
	rm -rf .venv .venv-engine .tools build .mypy_cache .pytest_cache .ruff_cache

.venv/.stamp: requirements.lock | $(UV)
	@echo "Installing the template's tools into .venv"
	@$(UV) venv --quiet --clear .venv
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes --python .venv requirements.lock
	@touch $@

.venv-engine/.stamp: $(subst ",,$(ENGINE_LOCKS)) modelworks/pyproject.toml | $(UV)
	@echo "Installing the engine and a generated project's packages into .venv-engine"
	@test -x $(ENGINE)/python || $(UV) venv --quiet --clear .venv-engine
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes --python .venv-engine $(ENGINE_LOCKS)
	@$(UV) pip install --quiet --python .venv-engine --no-deps --no-build-isolation --editable modelworks
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
