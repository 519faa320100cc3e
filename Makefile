# The commands of the project. From a bare machine (Python 3.11, a C compiler): `make demo`, `make test`.
#
# `PY=/path/to/python make test` uses an interpreter that has everything installed, and makes no `.venv`.
# `CHECKED=1 make build` builds the kernels with every run-time check on.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help venv build demo test bench lint docs soak fuzz wheel clean

VENV := .venv
ifeq ($(origin PY), undefined)
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
endif
export OPENMM_CHECKED := $(if $(CHECKED),1,$(OPENMM_CHECKED))

# $(call timed,NAME,COMMAND): run, print how long it took, keep the exit code.
define timed
@start=$$SECONDS; rc=0; { $(2); } || rc=$$?; \
echo "== $(1): $$((SECONDS - start)) s, $$([ $$rc = 0 ] && echo passed || echo "FAILED ($$rc)")"; exit $$rc
endef

help:
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1	\2/p' Makefile | expand -t 10

$(VENV)/.ready: pyproject.toml tools/bootstrap.sh
	@tools/bootstrap.sh $(VENV)

venv: $(READY) ## make .venv with everything the project needs

build: $(READY) ## build the kernels in place
	$(call timed,build,$(PY) setup.py -q build_ext --inplace)

demo: build ## a bot against a simulated venue, live in the terminal, then the session report
	@$(PY) -m openmm.cli.main demo $(ARGS)

test: build ## the whole test suite
	$(call timed,test,$(PY) -m pytest $(ARGS))

bench: build ## benchmarks against their gates; exits 1 on a miss
	$(call timed,bench,$(PY) -m bench $(ARGS))

lint: build ## formatting, lint, types, stubs, and the rules of tests/tidy
	$(call timed,lint,$(PY) -m pytest -q tests/tidy $(ARGS))

docs: build ## check the pages of docs/: links, commands, promises
	$(call timed,docs,$(PY) -m pytest -q tests/tidy/test_docs.py $(ARGS))

TICKS ?= 10000000
soak: build ## property tests over thousands of new inputs each, and end-to-end tests for longer; ten million ticks, 200 instruments, a million fills
	$(call timed,soak,OPENMM_SOAK=1 $(PY) -m pytest -q --timeout=0 --ignore=tests/tidy $(ARGS) && $(PY) -m bench.soak --ticks $(TICKS) && $(PY) -m bench.fleet --seconds 600 && OPENMM_SOAK=1 $(PY) -m bench --only bench_books)

COUNT ?= 1000000
FLAVOURS ?= checked address
fuzz: $(READY) ## a million inputs through every decoder and reader, on the checked build and under AddressSanitizer
	$(call timed,fuzz,tools/fuzz.sh $(PY) $(COUNT) $(FLAVOURS))

wheel: $(READY) ## dist/*.whl
	$(call timed,wheel,$(PY) -m build --wheel --outdir dist .)

clean: ## remove everything that was made, the virtual environment included
	rm -rf build dist .cache $(VENV) .hypothesis .benchmarks .ruff_cache *.egg-info
	find openmm tests examples -name '*.so' -delete -o -name '*.c' -delete 2>/dev/null || true
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
