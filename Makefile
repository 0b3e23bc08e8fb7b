# One target for each daily task. Everything is installed into .venv; ARGS= passes arguments on.
PYTHON ?= python3
BIN = .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(PATH)
INSTALLED = .venv/.installed
BUILT = .venv/.built
# Paths are relative, since make and the shell would split that of a clone at its spaces.
DOORS = build/doors/venv
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check
INSTALL = $(BIN)/python $(PIP_INSTALL)
WHEELS = build/wheels/$(notdir $(PYTHON))
SOURCES = $(shell find src -type f)
C_FILES = $(shell git ls-files "*.[ch]")
KERNEL_FLAGS = -std=gnu11 -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math -falign-loops=64 -funroll-loops -Wall -Isrc
# Tests of what is compiled, without those that build normcy, need another library, or reach no line that these do not.
COVERAGE_TESTS = grid panels tuning schedule runners crowding interface extremes operands paths fused styles running moments outputs threads \
	thread_limits processes arrays odd_input bad_input runtime memory floating_point layers

.PHONY: build test types torture doors mutants coverage bits compare accuracy bench bench-history bench-check bench-report bench-tuning bench-busy cliffs bench-kernels examples lint format docs sdist wheels wheels-all bench-beside-torch charts check-pages clean
build: $(BUILT)
$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) 'pip>=25.1'  # the first version that has --group
	$(INSTALL) --group build
	$(INSTALL) --no-build-isolation -e '.[test]'
	touch $@
$(BUILT): $(INSTALLED) setup.py $(SOURCES)
	$(BIN)/python setup.py --quiet build_ext --inplace  # only what has changed
	touch $@

test: build
	$(BIN)/python -m pytest $(ARGS)

types: build  # what users' type checkers see
	$(INSTALL) --group types
	$(BIN)/mypy
	$(BIN)/pyright
	PYTHONPATH=. $(BIN)/pyright --verifytypes normcy --ignoreexternal
	PYTHONPATH=. $(BIN)/python -m mypy.stubtest normcy --mypy-config-file pyproject.toml --concise \
		--allowlist tests/stubtest_allowlist.txt --ignore-unused-allowlist

torture: build
	$(BIN)/python -m pytest -m torture $(ARGS)

# In an environment of its own with other libraries, which take 2 GB. Only the files with such tests are read, as others
# need more than that environment has. JAX computes what Keras does.
$(DOORS)/.installed: pyproject.toml $(INSTALLED)
	test -x $(DOORS)/bin/python || $(BIN)/python -m venv $(DOORS)
	$(DOORS)/bin/python $(PIP_INSTALL) 'pip>=25.1'
	$(DOORS)/bin/python $(PIP_INSTALL) --group doors
	touch $@
doors: build $(DOORS)/.installed
	KERAS_BACKEND=jax PYTHONPATH="$(CURDIR)" $(DOORS)/bin/python -m pytest -m doors \
		$$(grep -l pytest.mark.doors tests/test_*.py) $(ARGS)

mutants: build  # checks that the tests notice faults; it takes hours without ARGS="--only threads.c" or --quick
	$(BIN)/python tests/mutants.py $(ARGS)

# In a copy, whose modules count how often a line runs. Functions that Cython makes have names with two underscores; an
# inline function is in several modules. Kernels that are not optimized need more than the stack of one of the tests.
coverage: $(INSTALLED)
	$(INSTALL) --group coverage
	rm -rf build/coverage && mkdir -p build/coverage
	git ls-files -z | tar -c --null -T - | tar -x -C build/coverage
	set -e; cd build/coverage; export NORMCY_COVERAGE=1 PYTHONPATH="$(CURDIR)/build/coverage"; \
	python setup.py --quiet build_ext --inplace; \
	python -m pytest --basetemp=build/pytest -k "not 128K" $(COVERAGE_TESTS:%=tests/test_%.py) $(ARGS); \
	gcovr --filter src/ --include-internal-functions --gcov-ignore-errors=source_not_found \
		--merge-mode-functions=merge-use-line-min --json build/lines.json build; \
	gcovr -a build/lines.json --txt -; \
	for folder in src/normcy/_engine src/runtime src/kernels src/normcy/_native; do printf "$$folder "; \
		gcovr -a build/lines.json --filter "$$folder/" --txt-summary --txt build/folder.txt | grep ^lines; done; \
	gcovr -a build/lines.json --exclude src/normcy/_native/ --txt build/engine.txt --fail-under-line 95

bits: build  # writes the hashes of all results; a change of them goes into the CHANGELOG
	$(BIN)/python tests/bits.py

compare: build
	$(BIN)/normcy compare $(ARGS)

accuracy: build
	$(BIN)/normcy accuracy $(ARGS)

bench: build
	$(INSTALL) --group bench
	cd benchmarks && asv machine --yes && asv check --python=same
	cd benchmarks && asv run --python=same --set-commit-hash=$$(git rev-parse HEAD) --quick --show-stderr $(ARGS)

# docs/history.md has figures of its own, as asv's pages fetch their scripts from the network.
bench-history: $(INSTALLED)  # 40 minutes
	$(INSTALL) --group bench
	$(BIN)/python -m benchmarks.history $(ARGS)

BASE = main
bench-check: $(INSTALLED)  # ten minutes: is the commit at HEAD slower than its base?
	$(INSTALL) --group bench
	$(BIN)/python -m benchmarks.history --check $(BASE) $(ARGS)

bench-report: build
	$(INSTALL) --group bench
	@ls benchmarks/results/*/*-*.json >/dev/null 2>&1 || { echo "there are no results yet: run make bench first"; exit 1; }
	cd benchmarks && asv publish && echo "the report: $(CURDIR)/.asv/html/index.html (asv preview shows it)"

bench-tuning: build  # what the numbers of docs/tuning.md trade here
	$(BIN)/python -m benchmarks.tuning $(ARGS)

bench-kernels:  # x86-64 only
	mkdir -p build/kernels
	$(CC) $(KERNEL_FLAGS) -c src/kernels/isa/baseline.c -o build/kernels/baseline.o
	$(CC) $(KERNEL_FLAGS) -mavx2 -mfma -c src/kernels/isa/avx2.c -o build/kernels/avx2.o
	$(CC) $(KERNEL_FLAGS) -mavx512f -c src/kernels/isa/avx512.c -o build/kernels/avx512.o
	$(CC) $(KERNEL_FLAGS) benchmarks/kernels.c src/kernels/isa/dispatch.c build/kernels/*.o -lm -o build/kernels/bench
	build/kernels/bench $(ARGS)

bench-busy: build  # calls beside busy processes; ARGS="--busy 2"
	$(BIN)/python -m benchmarks.busy $(ARGS)

cliffs: build  # random calls on which torch, if it is installed, or NumPy is faster; ARGS="--seed 2 --only group"
	$(BIN)/python -m benchmarks.cliffs $(ARGS)

examples: build
	$(INSTALL) 'scikit-learn>=1.5'
	mkdir -p build/examples  # for their figures
	set -e; for file in examples/*.py; do echo "$$file"; $(BIN)/python -W error $$file --out build/$${file%.py}.png; done
	set -e; for folder in c_extension cython_module; do echo "examples/$$folder"; \
	    rm -rf build/examples/$$folder; cp -r examples/$$folder build/examples; cd build/examples/$$folder; \
	    "$(CURDIR)/$(BIN)/python" setup.py --quiet build_ext --inplace; \
	    "$(CURDIR)/$(BIN)/python" -W error main.py; cd ../../..; done

lint: build
	$(INSTALL) --group lint
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/cython-lint src/normcy examples
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

format: build
	$(INSTALL) --group lint
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)

docs: build
	$(INSTALL) --group docs
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build

charts: build  # the README's chart, of docs/data/compare-2threads.json; docs/performance.md says how that is made
	$(BIN)/python docs/charts.py

check-pages: docs  # needs Chromium (Debian: apt install chromium); ARGS="--pictures build/pages" keeps screenshots
	$(BIN)/python docs/check_pages.py docs/_build $(ARGS)

sdist: $(WHEELS)/tools
	$(WHEELS)/tools/bin/python -m build --sdist --outdir dist
	$(WHEELS)/tools/bin/twine check --strict dist/*.tar.gz

# Linux: the wheel of $(PYTHON) as users get it, with an OpenMP library inside. It is installed where nothing else is, and
# no compiler, and used there. `dist` gets it, and the source archive, when all this has worked.
wheels: $(WHEELS)/tools
	rm -rf $(WHEELS)/linked $(WHEELS)/repaired $(WHEELS)/user
	$(WHEELS)/tools/bin/python -m build --outdir $(WHEELS)/linked  # the source archive, and the wheel from that alone
	PATH="$$PWD/$(WHEELS)/tools/bin:$$PATH" auditwheel repair --wheel-dir $(WHEELS)/repaired $(WHEELS)/linked/*.whl
	$(WHEELS)/tools/bin/twine check --strict $(WHEELS)/linked/*.tar.gz $(WHEELS)/repaired/*.whl
	$(PYTHON) -m venv $(WHEELS)/user
	PATH="$$PWD/$(WHEELS)/user/bin" $(WHEELS)/user/bin/python -m pip install --quiet --only-binary :all: $(WHEELS)/repaired/*.whl
	PATH="$$PWD/$(WHEELS)/user/bin" $(WHEELS)/user/bin/python .ci/smoke.py --alone --openmp --bundled
	mkdir -p dist && cp $(WHEELS)/repaired/*.whl $(WHEELS)/linked/*.tar.gz dist

$(WHEELS)/tools: pyproject.toml
	rm -rf $@ && $(PYTHON) -m venv $@
	$@/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$@/bin/python -m pip install --quiet --group wheels

wheels-all: $(WHEELS)/tools  # all wheels of this kind of machine, as on CI: Linux needs Docker, macOS Python from python.org
	$(WHEELS)/tools/bin/python -m pip install --quiet --group cibuildwheel
	$(WHEELS)/tools/bin/python -m cibuildwheel --output-dir dist $(ARGS)

TORCH = torch==2.13.0
bench-beside-torch: build wheels  # a build from source shares torch's OpenMP library, a wheel has one of its own
	for python in $(BIN) $(WHEELS)/user/bin; do $$python/python -m pip install --quiet $(TORCH) || exit 1; done
	$(BIN)/python benchmarks/beside_torch.py $(BIN)/python $(WHEELS)/user/bin/python

clean:
	rm -rf .venv build dist *.egg-info normcy/*/*.so docs/_build
