# Two commands do all the set-up on a machine with Python 3.11 and a C++ compiler:
#   make demo        the main job on real data that a package carries; writes demo-report.html
#   make test        all tests
#   make test-quick  the quick half of them, while you work
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# ON: the compilers' warnings are errors, as they are in CI.
WERROR ?= OFF
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCES := pyproject.toml CMakeLists.txt $(shell find csrc -type f)
CXX_FILES = $(shell find csrc tests/faults/native benchmarks/native \
  -name '*.cpp' -o -name '*.hpp' -o -name '*.c' -o -name '*.cu' -o -name '*.cuh')

.PHONY: demo test test-quick test-oldest test-peers test-upstream faults upstream lint format types stubs check-stubs wheel-test sanitize bench bench-gpu bench-smoke precision skill claims clean

demo: $(VENV)/.demo
	$(BIN)/marketsim backtest demo --simulations 70 --report demo-report.html

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto

# The quick half, at most two minutes on two cores: without the files that SLOW in tests/conftest.py
# names with a reason (programs that are compiled or killed, processes, the old project's code, runs
# of networks), and with 20 examples of each property.
test-quick: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto -m "not slow" --hypothesis-profile quick

# The old functions and the reading of files with the oldest versions that pyproject.toml declares
# (torch and the tests' tools are the newest). Needs Python 3.11 or 3.12.
test-oldest: .venv-oldest/.built
	.venv-oldest/bin/python -m pytest -n auto $(addprefix tests/legacy/test_,data_source.py \
	  golden_frames.py golden_parts.py golden_profit.py old_names.py replaced.py) \
	  $(addprefix tests/bars/test_bars_,container.py files.py interrupt.py layouts.py limits.py)

.venv-oldest/.built: tools/oldest_env.py pyproject.toml $(VENV)/.dev
	$(BIN)/python tools/oldest_env.py

# Our figures against the packages of the field, which this installs beside the others.
test-peers: $(VENV)/.dev
	$(PIP) $$($(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['peers'])")
	$(BIN)/python -m pytest tests/peers

# Runs on a Ray cluster of two nodes of this machine; installs Ray beside the others.
.PHONY: test-cluster
test-cluster: $(VENV)/.dev
	$(PIP) $$($(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['cluster'])")
	$(BIN)/python -m pytest tests/cluster -p no:xdist

# The old repository's own tests, with the old code and with ours; LEGACY_CHECKOUT names a checkout.
# GENESIS_CHECKOUT (or GENESIS_REPOSITORY) adds three test files of the second old system.
test-upstream: $(VENV)/.dev
	test -z "$$LEGACY_CHECKOUT" -a -n "$$GENESIS_CHECKOUT$$GENESIS_REPOSITORY" || \
	  $(BIN)/python tools/legacy_upstream.py
	test -z "$$GENESIS_CHECKOUT$$GENESIS_REPOSITORY" || $(BIN)/python tools/genesis_upstream.py

# The fault suite in full: 10,000 kills, long fuzzing, every crash point many times. Half an hour.
faults: $(VENV)/.dev
	MARKETSIM_FAULTS=full $(BIN)/python -m pytest tests/faults tests/forecasts -p no:xdist

# Damage the store's files at random for five minutes; prints one line of counts.
.PHONY: torture
torture: $(VENV)/.dev
	PYTHONPATH=tests/support $(BIN)/python tests/faults/torture.py 300

# The documentation's site, strict: build/site/index.html.
.PHONY: docs
docs: $(VENV)/.dev
	$(PIP) $$($(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['docs'])")
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Our models against the original code, which gets an environment of its own (1.3 GB).
upstream: $(VENV)/.dev .venv-upstream/.built
	$(BIN)/python -m pytest tests/upstream -p no:xdist

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .
	$(BIN)/clang-format -i $(CXX_FILES)

types: $(VENV)/.dev
	$(BIN)/mypy

# The stubs of the compiled modules are generated and committed. _cuda is there where nvcc is.
HAS_CUDA = $(BIN)/python -c "import marketsim._cuda" 2> /dev/null
stubs: $(VENV)/.dev
	$(BIN)/python tools/make_stubs.py _core python/marketsim/_core.pyi
	! $(HAS_CUDA) || $(BIN)/python tools/make_stubs.py _cuda python/marketsim/_cuda.pyi

check-stubs: $(VENV)/.dev
	$(BIN)/python tools/make_stubs.py _core build/_core.pyi
	diff -u python/marketsim/_core.pyi build/_core.pyi
	if $(HAS_CUDA); then $(BIN)/python tools/make_stubs.py _cuda build/_cuda.pyi && \
	  diff -u python/marketsim/_cuda.pyi build/_cuda.pyi; \
	else echo 'built without CUDA: _cuda.pyi is not compared'; fi

# Builds a wheel, compilers' warnings being errors, installs it into an empty environment elsewhere
# and uses it there.
wheel-test: $(VENV)/.dev
	$(BIN)/python tools/wheel_smoke.py

# What a release would publish: the sdist, wheels built from it in isolation for this Python and for
# those in PYTHONS, and the checks of auditwheel, twine and check-wheel-contents.
PYTHONS ?=
.PHONY: wheel-check
wheel-check: $(VENV)/.dev
	$(PIP) $$($(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['release'])")
	$(BIN)/python tools/wheel_check.py $(foreach python,$(PYTHONS),--python $$(command -v $(python)))

# The kernels' tests under AddressSanitizer and UndefinedBehaviorSanitizer.
sanitize: $(VENV)/.dev
	$(BIN)/python tools/sanitize.py

# Writes one JSON a run, by time and commit, for bench-compare.
RESULT = benchmarks/results/$(shell date -u +%Y%m%dT%H%M%SZ)-$(shell git rev-parse --short HEAD).json
bench: $(VENV)/.dev
	mkdir -p benchmarks/results
	$(BIN)/python -m pytest benchmarks --benchmark-enable --benchmark-only -p no:xdist \
	  --benchmark-json=$(RESULT)

# What got slower beyond noise from A to B: two revisions, which are built and run in turn (B=. is
# the working tree), or two files of `make bench`. ARGS: --files, --select, --rounds.
.PHONY: bench-compare
bench-compare: $(VENV)/.dev
	$(BIN)/python benchmarks/compare.py $(A) $(B) $(ARGS)

# Instructions of kernels by callgrind, which noise does not move: fails at 5 % above the baseline.
.PHONY: counts counts-baseline
counts: $(VENV)/.dev
	$(BIN)/python benchmarks/kernel_counts.py
counts-baseline: $(VENV)/.dev
	$(BIN)/python benchmarks/kernel_counts.py --write

# docs/peers.md: the same work by other packages, which this installs beside ours.
.PHONY: peers
peers: $(VENV)/.dev
	$(PIP) $$($(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['peers'])")
	$(BIN)/python benchmarks/peers/run_peers.py

# The GPU's kernels: checks, measures, writes benchmarks/results. Exit code 2 without a GPU.
bench-gpu: $(VENV)/.dev
	PYTHONPATH=tests/support $(BIN)/python benchmarks/gpu/run_gpu.py

# Each benchmark once: it asserts its answers; nothing is timed.
bench-smoke: $(VENV)/.dev
	$(BIN)/python -m pytest benchmarks --benchmark-disable -p no:xdist

# The tables of docs/precision.md: what bfloat16 and int8 cost in exactness.
precision: $(VENV)/.dev
	PYTHONPATH=tests/support $(BIN)/python benchmarks/precision.py

# The table of docs/models.md: the statistical models on the files of $MARKETSIM_DATA.
skill: $(VENV)/.dev
	$(BIN)/python benchmarks/forecast_skill.py --write

# The tables of docs/old-claims.md: what analyses of the old functions claimed.
claims: $(VENV)/.dev
	$(BIN)/python benchmarks/old_claims.py

clean:
	rm -rf $(VENV) .venv-oldest .venv-upstream build dist

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip

$(VENV)/.demo: $(VENV)/bin/python $(SOURCES)
	$(PIP) -e '.[demo]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/python $(SOURCES) constraints.txt
	$(PIP) -e '.[dev]' -C cmake.define.MARKETSIM_EMULATION=ON \
	  -C cmake.define.MARKETSIM_WERROR=$(WERROR)
	touch $@

.venv-upstream/.built: tools/upstream_env.py constraints.txt $(wildcard tests/upstream/*.txt)
	$(PYTHON) tools/upstream_env.py
