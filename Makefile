# Set-up, main job, tests and checks. `make` alone lists the targets; ARGS are passed on, as in
#     make demo ARGS="--task digits-2"        make test ARGS="tests/qsim -x"

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
    then echo $$python; exit; fi; done; echo python3)

CXX_SOURCES := $(shell find classical qsim -name '*.cpp' -o -name '*.hpp')
FORMATTED := $(shell find classical qsim tests benchmarks -name '*.[ch]pp' -o -name '*.c' -o -name '*.cu' -o -name '*.cuh')
STAMP := $(VENV)/.installed
SANITIZED := build/sanitize

# One sentence on what this machine lacks, or nothing. make's own CXX is a guess: let any compiler do.
COMPILER := $(if $(filter default,$(origin CXX)),,$(firstword $(CXX)))
MISSING = $(shell $(PYTHON) scripts/preflight.py $(COMPILER) 2>/dev/null \
    || echo "Efficient QML needs Python 3.11 or newer, and $(PYTHON) is not that: install it, or name it as in make PYTHON=python3.12")

.PHONY: help demo test check sanitize format bench clean
.DELETE_ON_ERROR:

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

demo: $(STAMP) ## Run the main job on real data, from training to a (simulated) IBM device
	$(BIN)/qml run $(ARGS)

test: $(STAMP) ## Run the tests and the notebooks
	$(BIN)/pytest $(ARGS)

check: $(STAMP) ## Check format, style, types, architecture, and that the wheel builds without warnings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/clang-format --dry-run -Werror $(FORMATTED)
	$(PIP) wheel . --quiet --no-deps --no-build-isolation --wheel-dir dist \
	    -Cbuild-dir=build/strict -Ccmake.define.QSIM_WERROR=ON

# A Python without sanitizers has to load their library first, and with it that of C++. -S and -P
# leave it no other qsim to import than the one built here.
sanitize: private CXX = g++
sanitize: SITE = $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
sanitize: $(STAMP) ## Run the tests of the C++ with AddressSanitizer and UBSan
	CXX=$(CXX) $(PIP) install . --quiet --no-deps --no-build-isolation --upgrade \
	    --target $(SANITIZED)/site -Cbuild-dir=$(SANITIZED)/cmake \
	    -Ccmake.build-type=RelWithDebInfo -Ccmake.define.QSIM_SANITIZE=address,undefined
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	    OMP_NUM_THREADS=1 ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	    PYTHONPATH=$(SANITIZED)/site:$(SITE) \
	    $(BIN)/python -SP -m pytest -m "native and not slow" --capture=sys tests/qsim tests/classical/kernels \
	    --ignore tests/qsim/test_gpu_benchmark.py $(ARGS)  # it needs benchmarks/, which -P hides

format: $(STAMP) ## Format the sources
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(FORMATTED)

bench: $(STAMP) ## Measure the speed of the engines
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## Remove the environment, builds and caches; runs stay
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# The environment is rebuilt when what it was made from changed; Python sources are used in place.
$(STAMP): pyproject.toml constraints.txt CMakeLists.txt $(CXX_SOURCES)
	$(if $(MISSING),$(error $(MISSING)))
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --upgrade pip
	$(PIP) install --constraint constraints.txt torch --group dev
	$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[all]' -Cbuild-dir=build/editable
	@touch $@
