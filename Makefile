# make demo    install into .venv and backtest a plug-in strategy on real daily bars
# make test    checks, all quick tests with branch coverage, the plug-ins' tests
# make wheels  built wheels in clean environments, and a stranger's plug-in beside them
# make soak    all long tests: wheels, each package alone, 5,000 random markets against the reference, ten million bars
# make ray     install Ray and run the tests of searches on its clusters
# make check   ruff, mypy, import contract
# make docs    run every block of README.md and docs/
# make bench   compare speed, memory and trades with other backtesters, in environments of their own; options: BENCH="--rounds 3"

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt

PLUGINS := $(patsubst %/pyproject.toml,./%,$(wildcard plugins/*/*/pyproject.toml))
PROJECTS := pyproject.toml constraints.txt $(PLUGINS:%=%/pyproject.toml)
EDITABLE := $(foreach plugin,$(PLUGINS),-e $(plugin))

COVERAGE_LEAST := 90
TRACED := $(BIN)/coverage run --data-file=.coverage
QUICK := -m pytest -q

.PHONY: demo test soak wheels ray check docs bench
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	@$(BIN)/framework demo

# Side by side: the tests of kernels, first with the compiler switched off, pages and plug-ins behind them; and all others.
test: $(VENV)/.test check
	$(BIN)/coverage erase
	@{ NUMBA_DISABLE_JIT=1 $(TRACED).plain $(QUICK) -m "kernels and not slow" -p no:cacheprovider; plain=$$?; \
	   $(TRACED).kernels $(QUICK) -m "kernels and not slow" -p no:cacheprovider; compiled=$$?; \
	   $(TRACED).pages $(QUICK) -m "not kernels and not slow" -p no:cacheprovider tests/test_docs.py plugins; \
	   test $$? = 0 -a $$compiled = 0 -a $$plain = 0; } > .kernels.log 2>&1 & kernels=$$!; \
	$(TRACED).others $(QUICK) -m "not kernels and not slow" --ignore tests/test_docs.py tests; others=$$?; \
	wait $$kernels; kernels=$$?; \
	echo "kernels, with the compiler switched off and on, pages and plug-ins:"; \
	grep -vE '^[.sxX]+ +\[ *[0-9]+%\]$$' .kernels.log; \
	test $$others = 0 -a $$kernels = 0
	$(BIN)/coverage combine -q .coverage.plain .coverage.kernels .coverage.pages .coverage.others
	$(BIN)/coverage report --skip-covered --sort=cover --fail-under=$(COVERAGE_LEAST)

wheels: $(VENV)/.test
	$(BIN)/python -m pytest -q -m slow -k "not alone" tests/test_wheels.py tests/test_stranger.py

ray: $(VENV)/.test
	@$(PIP) -e ".[ray]" psutil
	$(BIN)/python -m pytest -q tests/test_research_ray.py

soak: $(VENV)/.test
	$(BIN)/python -m pytest -q -m slow

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: $(VENV)/.test
	$(BIN)/python -m pytest -q tests/test_docs.py $(wildcard tests/test_*_docs.py)

bench: $(VENV)/.test
	$(BIN)/python benchmarks/backtest.py $(BENCH)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); this project needs Python 3.11 or newer." >&2; \
	  echo "Name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(PROJECTS) | $(BIN)/python
	@echo "installing into $(VENV), once"
	@$(PIP) setuptools wheel
	@$(PIP) --no-build-isolation -e ".[demo]" $(EDITABLE)
	@touch $@

$(VENV)/.test: $(PROJECTS) | $(BIN)/python
	@echo "installing with the test tools into $(VENV), once"
	@$(PIP) setuptools wheel
	@$(PIP) --no-build-isolation -e ".[demo,test]" $(EDITABLE)
	@touch $@ $(VENV)/.demo
