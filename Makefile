# GenFeed's commands. `make run` and `make test` need nothing but make and Python 3.12 or newer.
.DEFAULT_GOAL := help
.PHONY: help run setup setup-dev test test-sqlite test-postgres postgres-but-events postgres-events lint types bench peer wrk kills soak faults fuzz audit lock openapi packages chromium nginx swift clean

# The first Python that is new enough; CI and laptops name them differently.
PYTHON ?= $(shell for name in python3.13 python3.14 python3.12 python3 python; do \
	if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; then echo $$name; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --require-hashes
# Set to "-n 0" to run the tests in one process. Two more than the cores of CI: many tests wait.
PYTEST_OPTIONS ?= -n 4
# The tests start a hundred processes; where the environment forbids to keep bytecode, each would compile all sources.
export PYTHONDONTWRITEBYTECODE :=

help: ## Show what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## Run GenFeed on port 8000 of this machine
	@exec $(BIN)/python manage.py up

setup: $(VENV)/.installed ## Install what is needed to run

setup-dev: $(VENV)/.installed-dev ## Install what is needed to test

define make-venv
	@if [ -z "$(PYTHON)" ]; then echo "GenFeed needs Python 3.12 or newer, and none was found; install one, or name it: make PYTHON=/path/to/python3"; exit 1; fi
	@if [ ! -x $(BIN)/python ]; then echo "Making $(VENV) with $(PYTHON) …"; $(PYTHON) -m venv $(VENV); fi
endef

$(VENV)/.installed: requirements.txt
	$(make-venv)
	@echo "Installing …"
	@$(PIP) -r requirements.txt
	@touch $@

# What runs is among what the tests need. uv takes a fifth of pip's time, but knows nothing of an index that pip is set
# up with: where it finds none, pip does it.
$(VENV)/.installed-dev: requirements-dev.txt requirements-uv.txt
	$(make-venv)
	@echo "Installing GenFeed and what the tests need …"
	@$(PIP) -r requirements-uv.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements-dev.txt \
		|| $(PIP) -r requirements-dev.txt
	@touch $(VENV)/.installed $@

# Style, types and floors beside the tests: most of it keeps one core alone. Before them, pip beside Debian's packages.
test: ## Check everything, on SQLite and on PostgreSQL
	@$(MAKE) --no-print-directory --jobs=2 lint test-sqlite
	@$(MAKE) --no-print-directory test-postgres

test-sqlite: setup-dev chromium nginx swift ## Run the tests on SQLite
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

test-postgres: setup-dev chromium swift ## Run what uses the database on a PostgreSQL that is started for it
	@$(MAKE) --no-print-directory --jobs=2 --keep-going postgres-but-events postgres-events

postgres-but-events:
	$(BIN)/python -m tests.on_postgres $(BIN)/python -m pytest $(PYTEST_OPTIONS)

# Followers of events wait for every older transaction of their server, so these tests have one to themselves.
postgres-events:
	$(BIN)/python -m tests.on_postgres $(BIN)/python -m pytest -n 0 tests/jobs/events

lint: setup-dev ## Check style, types, floors and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	# Without a cache: one from before a change of the models makes errors that are none.
	$(BIN)/mypy --cache-dir=/dev/null manage.py genfeed catalog pricing jobs
	$(BIN)/python manage.py makemigrations --check --dry-run

bench: setup-dev peer wrk ## Measure everything against a peer and the limit, in forty to fifty minutes, and write docs/benchmarks.md
	$(BIN)/python -m tests.bench --write

peer: .venv-peer/.installed

# What we are compared with, in an environment of its own.
.venv-peer/.installed: tests/bench/peer.txt | $(VENV)/.installed-dev
	@echo "Installing LiteLLM’s proxy to compare with …"
	@$(BIN)/python -m venv .venv-peer
	@.venv-peer/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r tests/bench/peer.txt
	@touch $@

# The load generator that takes least CPU; without it tests/bench/asking.py makes the load.
wrk:
	@if ! command -v wrk >/dev/null 2>&1 && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "Installing wrk …"; \
		apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk >/dev/null || true; \
	fi

kills: setup-dev ## Kill every process ten times while 500 jobs run, on both databases, and prove what is left
	$(BIN)/python -m tests.kills
	EVERY_WRITE=1 $(BIN)/python -m pytest -n 0 -q tests/jobs/workflows/test_killed.py tests/jobs/batches/test_killed.py tests/ops/test_migrating_killed.py
	EVERY_WRITE=1 $(BIN)/python -m tests.on_postgres $(BIN)/python -m pytest -n 0 -q tests/ops/test_migrating_killed.py

faults: setup-dev ## Kill, pause and starve two of each process, crash their database, and prove what is left
	$(BIN)/python -m tests.nodes

soak: setup-dev ## Work for an hour under mixed traffic, and prove that nothing grows or is left behind
	$(BIN)/python -m tests.soak

fuzz: setup-dev ## Send each operation of the API, each foreign protocol and the agents' tools many requests that nobody foresaw, and many histories
	GENFEED_FUZZ=$${GENFEED_FUZZ:-200} $(BIN)/python -m pytest -n 0 tests/security/test_contract.py tests/security/test_foreign_bodies.py tests/security/test_agent_bodies.py \
		tests/jobs/test_properties.py tests/jobs/batches/test_ending.py tests/pricing/ledger/test_properties.py \
		tests/pricing/reports/test_rollups.py tests/pricing/reconciling/test_any_order.py

# Of what runs in production, by the hashes that are installed; it asks a database of known vulnerabilities, by the internet.
audit: setup-dev ## Ask whether anything that is installed is known to be vulnerable
	@$(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --strict --require-hashes --disable-pip -r requirements.txt -r requirements-s3.txt || { \
		echo "This is no proof: what is named above is vulnerable, or pypi.org could not be asked about it." >&2; exit 1; }

lock: setup-dev ## Pin the whole tree anew after a change of pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header -c requirements.txt --group dev pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header -c requirements-dev.txt --extra s3 pyproject.toml -o requirements-s3.txt
	echo uv | $(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header -c requirements-dev.txt - -o requirements-uv.txt
	echo "litellm[proxy]==1.108.7" | $(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header - -o tests/bench/peer.txt

openapi: setup-dev ## Write docs/openapi.json anew after a change of the API, and tell what breaks callers
	$(BIN)/python manage.py write_openapi

# The shell without windows, or the whole browser.
HAS_CHROMIUM := { command -v chromium-headless-shell || command -v chromium; } >/dev/null 2>&1

# What tests need of Debian's where we may install it, all at once: one look at its lists. nginx: tests of the deployment
# run it where it is. Swift: a real store that speaks S3, for the tests of files.
packages:
	@missing=""; browser=""; \
	$(HAS_CHROMIUM) || browser=chromium; \
	[ -x /usr/sbin/nginx ] || command -v nginx >/dev/null 2>&1 || missing="$$missing nginx"; \
	/usr/bin/python3 -c "import swift.obj.mem_server" >/dev/null 2>&1 || \
		missing="$$missing swift-proxy swift-account swift-container swift-object"; \
	if [ -n "$$browser$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "Installing" $$browser $$missing …; \
		apt-get update -qq >/dev/null || exit; \
		[ -z "$$browser" ] || ! apt-cache show chromium-headless-shell >/dev/null 2>&1 || browser=chromium-headless-shell; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $${browser:+$$browser fonts-dejavu-core} $$missing >/dev/null; \
	fi

# Without Debian's, the browser that Playwright brings.
chromium: setup-dev packages
	@$(HAS_CHROMIUM) || $(BIN)/python -m playwright install chromium

nginx: packages
	@[ -x /usr/sbin/nginx ] || command -v nginx >/dev/null 2>&1 || echo "Without nginx, the tests behind it are skipped."

swift: packages
	@/usr/bin/python3 -c "import swift.obj.mem_server" >/dev/null 2>&1 || \
		echo "Without Swift, files on S3 are tested with moto alone."

clean: ## Remove the virtual environment and caches; the data in var/ stays
	rm -rf $(VENV) .venv-peer .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
