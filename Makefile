# Every target sets up what it needs: `make serve` or `make test` is all a fresh machine takes.

PYTHON_IN_VENV := .venv/bin/python
ARGS ?=
SEEDS ?= 1000
ROUNDS ?= 50
FROM ?= 0
SEED ?=
TRACE ?=
MINUTES ?= 30
PYTHONS ?=
# Tests wait for disks and processes half of the time: more of them than there are cores in CI.
WORKERS ?= 3
COVERED ?= exness
COMMANDS := tests/docs/test_commands.py tests/docs/test_in_an_empty_folder.py tests/docs/test_upkeep.py tests/acceptance/test_recipe.py tests/examples
ELSEWHERE := bots browser spread $(COMMANDS:tests/%=%)

# Else each of the many processes of the tests would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help serve test test-long docs test-docs test-bots test-spread spread browser screenshots coverage test-lowest test-pythons crash sim bench soak settings lint audit format lock dist clean setup setup-dev

help: ## show this list
	@echo "usage: make TARGET"
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## /  \1	/' | expand -t 16

serve: setup ## start the exchange; more flags with ARGS="--port 9000"
	@exec $(PYTHON_IN_VENV) -m exness serve $(ARGS)

test: lint ## check style, types and imports, then run the tests; the quick ones with ARGS="-m 'not slow'"
	@echo "== tests (pytest)"
	@$(PYTHON_IN_VENV) -m pytest -n $(WORKERS) $(ELSEWHERE:%=--ignore=tests/%) -m "not long" $(ARGS)
	@echo "left out: crashes and damage over and over (make test-long), the commands and examples of the documentation (make test-docs), bots of others (make test-bots), the exchange on PostgreSQL and Redis (make test-spread), the terminal in a browser (make browser)"

test-long: setup-dev ## run what kills processes and damages files over and over, the bench's own tests, types on other systems; about 8 minutes
	@echo "== types as on Windows and macOS (mypy --strict)"
	@$(PYTHON_IN_VENV) -m mypy --platform win32 exness
	@$(PYTHON_IN_VENV) -m mypy --platform darwin exness
	@echo "== long tests (pytest)"
	@$(PYTHON_IN_VENV) -m pytest -n $(WORKERS) $(ELSEWHERE:%=--ignore=tests/%) -m long $(ARGS)

docs: setup-dev ## build the documentation as a site, strictly, into site/
	@.ci/docs.sh
	@SITE_REQUIRED=1 $(PYTHON_IN_VENV) -m pytest -q tests/docs/test_site.py

test-docs: setup-dev ## run the commands and the examples of the documentation, word for word
	@echo "== documented commands and examples (pytest)"
	@$(PYTHON_IN_VENV) -m pytest -n $(WORKERS) $(COMMANDS) $(ARGS)

test-spread: ## run the tests of the exchange on PostgreSQL and Redis, which are installed first if they may be
	@.ci/spread.sh

spread: setup-dev
	@echo "== the exchange on PostgreSQL and Redis (pytest)"
	@$(PYTHON_IN_VENV) -m pytest -n $(WORKERS) tests/spread $(ARGS)
	@$(PYTHON_IN_VENV) -m pytest -n $(WORKERS) -q -k postgres tests/contracts

browser: setup-dev ## run the tests of the terminal in a real browser; they need a Chromium (apt-get install chromium)
	@echo "== the terminal in a browser (pytest, Playwright)"
	@$(PYTHON_IN_VENV) -m pytest -n $(WORKERS) $(ARGS) tests/browser

test-bots: setup-dev ## run the tests with freqtrade, python-binance, the vendor's kits and ccxt.pro, each in an environment of its own; about 6 minutes
	@.ci/bots.sh
	@echo "== clients of the Binance face, unchanged (pytest)"
	@$(PYTHON_IN_VENV) -m pytest -n $(WORKERS) $(ARGS) tests/bots

screenshots: setup-dev ## make the pictures of the documentation anew; they need a Chromium
	@$(PYTHON_IN_VENV) -m tests.browser.screenshots docs/pictures

coverage: setup-dev ## run the quick tests and show how much of the code they reach, or of COVERED=exness/core; the core must be reached whole
	@echo "== coverage (pytest-cov)"
	@$(PYTHON_IN_VENV) -m pytest -n $(WORKERS) -q -m "not slow" --cov=$(COVERED) --cov-report=
	@$(PYTHON_IN_VENV) -m coverage report --skip-covered --show-missing
	@$(PYTHON_IN_VENV) -m coverage report --include='exness/core/*' --fail-under=100

test-lowest: ## run the quick tests on the oldest versions of the dependencies that are allowed
	@.ci/matrix.sh lowest

test-pythons: ## run the quick tests on every other Python that is supported and installed, or on PYTHONS="3.13"
	@PYTHONS="$(PYTHONS)" .ci/matrix.sh pythons

crash: setup-dev ## kill -9 under load, ROUNDS=50 times, and check after each that nothing acknowledged is lost
	@$(PYTHON_IN_VENV) -m tests.crash --rounds $(ROUNDS) $(ARGS)

sim: setup-dev ## simulate SEEDS=1000 random worlds from FROM=0 on; SEED=n repeats one, TRACE=1 shows all that happens in it
	@$(PYTHON_IN_VENV) -m tests.simulation $(if $(SEED),--seed $(SEED) $(if $(TRACE),--trace),--first $(FROM) --seeds $(SEEDS)) $(ARGS)

bench: setup-dev ## measure every figure of docs/BENCHMARKS.md, about 12 minutes; fewer with ARGS="--only trades feed --quick"
	@$(PYTHON_IN_VENV) -m tests.bench $(ARGS)

soak: setup-dev ## half of the peak load with cascades for MINUTES=30, then verify
	@$(PYTHON_IN_VENV) -m tests.bench.soak --minutes $(MINUTES) $(ARGS)

settings: setup ## write config.toml and docs/SETTINGS.md anew, from exness/config/schema.py and rates.py
	@$(PYTHON_IN_VENV) -m exness config --defaults > config.toml.new && mv config.toml.new config.toml
	@$(PYTHON_IN_VENV) -m exness config --markdown > docs/SETTINGS.md.new && mv docs/SETTINGS.md.new docs/SETTINGS.md

lint: setup-dev ## check style, types and the direction of imports
	@echo "== style (ruff check)"
	@$(PYTHON_IN_VENV) -m ruff check .
	@echo "== formatting (ruff format --check)"
	@$(PYTHON_IN_VENV) -m ruff format --check .
	@echo "== types (mypy --strict)"
	@$(PYTHON_IN_VENV) -m mypy
	@echo "== security (bandit)"
	@$(PYTHON_IN_VENV) -m bandit --quiet --recursive --configfile pyproject.toml exness
	@echo "== imports (import-linter)"
	@$(PYTHON_IN_VENV) -c 'from importlinter.cli import lint_imports_command as run; run()'

audit: setup-dev ## look up the locked dependencies in the database of known vulnerabilities (needs the internet)
	@$(PYTHON_IN_VENV) .ci/audit.py

format: setup-dev ## format the code and fix what can be fixed
	@$(PYTHON_IN_VENV) -m ruff check --fix --quiet . || true
	@$(PYTHON_IN_VENV) -m ruff format .

lock: ## remake the lock files with the newest allowed versions
	@.ci/lock.sh

dist: ## build wheel and sdist into dist/, and try them: byte for byte, and on each Python that is here
	@.ci/dist.sh

clean: ## remove the environment and every cache; data/ stays
	rm -rf .venv .venv-* build dist site .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@.ci/setup.sh runtime

setup-dev:
	@.ci/setup.sh dev
