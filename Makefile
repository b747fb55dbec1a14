# What people run, in ./.venv, which is made when first needed and brought up to date when its files change.

PYTHON := $(shell for p in python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
CHOSEN = $(or $(PYTHON),python3)
HAS_EGL := .venv/bin/python -c 'import ctypes.util, sys; sys.exit(ctypes.util.find_library("EGL") is None)'
GET_EGL := apt-get -qq update && apt-get -qq install -y --no-install-recommends libegl1 libgl1-mesa-dri
GET_CHROMIUM := apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium
LINKS := $(addprefix limbshift/,envs agents meta experiments)

# MuJoCo Warp's kernels, which are compiled once for each robot
export WARP_CACHE_PATH := $(CURDIR)/.cache/warp

.PHONY: demo test docs check-slow check-gpu fuzz survey results catalogue bench clean gl chromium

demo: .venv/.installed gl
	.venv/bin/limbshift demo

test: export OMP_NUM_THREADS = 1 # each of the two workers has a core of its own
test: .venv/.installed gl chromium
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/pytest -n 2 --dist loadfile

docs: .venv/.installed # the documentation at http://localhost:8000, made again whenever a page changes
	.venv/bin/zensical serve

check-slow: .venv/.extras gl
	.venv/bin/pytest -m slow

check-gpu: .venv/.installed # where PyTorch sees a CUDA device; under eight minutes, and docs/gpu.md is what it measured
	.venv/bin/pytest -m gpu tests/gpu
	.venv/bin/limbshift bench --gpu --seconds 1 --minutes 3 --json docs/gpu.json
	.venv/bin/python -m limbshift.experiments.benchmarks.gpu.page docs/gpu.json docs/gpu.md

FUZZED := controller checkpoint config preset task command result robot dump
fuzz: .venv/.installed # at most ten minutes for each target; what stops it lies in .cache/fuzz
	@for target in $(FUZZED); do echo $$target; \
	.venv/bin/python -m tests.fuzz $$target -runs=$(or $(RUNS),125000) -max_total_time=600 -verbosity=0 || exit 1; done

survey: .venv/.installed gl # an hour; fetches other projects' robots, and goes on where it was interrupted
	OMP_NUM_THREADS=1 .venv/bin/python -m tests.survey

results: .venv/.installed # hours; it goes on where it was interrupted
	.venv/bin/python -m limbshift.experiments.published.run

catalogue: .venv/.installed gl # docs/catalogue.md and its pictures
	.venv/bin/python -m limbshift.experiments.published.catalogue

bench: .venv/.extras # some minutes, on a machine that does nothing else
	.venv/bin/limbshift bench

clean: # what was trained, in runs/, stays
	rm -rf .cache .venv build dist .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python $(LINKS)
	@echo "Installing limbshift and what it needs into .venv: some minutes, most of which go into PyTorch"
	.venv/bin/python -m pip install --progress-bar on --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

.venv/.extras: .venv/.installed
	@echo "Installing Ray, EnvPool and other learning libraries, which take more than a gigabyte"
	.venv/bin/python -m pip install --progress-bar on --disable-pip-version-check -c constraints.txt -e '.[bench,clients,cluster,notebooks]'
	@touch $@

$(LINKS): # which an sdist lacks, since it holds no symbolic links
	ln -s ../$(@F) $@

.venv/bin/python: # Debian's Python may lack ensurepip, so the second way borrows the system's pip
	@$(CHOSEN) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo "limbshift needs Python 3.11 or newer, found $$($(CHOSEN) -V 2>&1 | tail -1)" >&2; exit 1; }
	@$(CHOSEN) -m venv .venv >/dev/null 2>&1 || \
	{ $(CHOSEN) -m venv --clear --without-pip .venv && $(CHOSEN) -m pip --python .venv install --quiet pip; } || \
	{ rm -rf .venv; exit 1; }

gl: .venv/.installed # Rendering needs EGL; training does not.
	@$(HAS_EGL) || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
	(export DEBIAN_FRONTEND=noninteractive; $(GET_EGL)) >/dev/null 2>&1 </dev/null && $(HAS_EGL); } || \
	echo "libEGL is missing: going on without video; for video, install libegl1 and libgl1-mesa-dri"

chromium: # Pages are tested in it.
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { test "$$(id -u)" = 0 && \
	command -v apt-get >/dev/null && (export DEBIAN_FRONTEND=noninteractive; $(GET_CHROMIUM)) >/dev/null 2>&1 \
	</dev/null && command -v chromium >/dev/null; } || echo "Chromium is missing: going on without the tests of pages"
