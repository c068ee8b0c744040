# Each target is enough by itself on a machine with Python 3.11 or newer: what it needs is set up first, once.

PYTHON ?= python3
TORCH ?=
EPOCHS ?= 5
FILES ?=
# mutants to try, 0 for all; of files that are named, all
SAMPLE ?= $(if $(FILES),0,200)
ARGS ?=
TEST_ARGS ?=

IN_VENV := .venv/bin/python
# The last thing that the set-up writes: a .venv without it is unfinished.
READY := .venv/.ready

# Asked for another torch than .venv has, it is set up again.
ifneq ($(filter-out none $(shell cat $(READY) 2>/dev/null),$(TORCH)),)
.PHONY: $(READY)
endif

# The suite starts Python some hundred times: what one process has compiled is there for the next. (Not so for mutants,
# files that change within the second by which Python tells what it compiled from what is new.)
test check test-machines coverage: export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help demo lessons notebooks site test check test-machines benchmark gpu-check coverage mutants lint lint-page mnist clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1 - \2/p' Makefile
	@echo 'PYTHON=python3.12 (say) chooses the Python that .venv is made with.'
	@echo 'TORCH=cpu is torch without the libraries of CUDA, TORCH=none is NumPy alone; .venv stays so.'

demo: mnist ## train both engines on MNIST; EPOCHS=5, ARGS='more options of scripts/train_mnist.py'
	$(IN_VENV) scripts/train_mnist.py --epochs $(EPOCHS) $(ARGS)

lessons: mnist ## run every lesson and draw its figures into docs/figures/
	@for lesson in scripts/lessons/lesson_*.py; do \
	    echo "==> $$lesson"; MPLBACKEND=agg $(IN_VENV) $$lesson --out docs/figures/ || exit; done

notebooks: mnist ## make docs/notebooks/ from the lessons, executed
	$(IN_VENV) scripts/notebooks.py

site: $(READY) ## build the site into build/site, to be read without a network: lessons, docs, every public name
	$(IN_VENV) scripts/make_site.py $(ARGS)

test: mnist ## run the tests; TEST_ARGS='more options of pytest'
	$(IN_VENV) -m pytest -n 2 --dist worksteal $(TEST_ARGS)

check: mnist ## run the quick tests, which start no processes, with fewer examples; TEST_ARGS as above
	HYPOTHESIS_PROFILE=quick $(IN_VENV) -m pytest -n 2 --dist worksteal -m 'not slow' $(TEST_ARGS)

test-machines: mnist ## run the numerical tests as on other machines; ARGS='--quick', or other options of scripts/other_machines.py
	$(IN_VENV) scripts/other_machines.py $(ARGS)

benchmark: mnist ## time the engines side by side; ARGS='--suite mnist', or other options of scripts/benchmark.py
	$(IN_VENV) scripts/benchmark.py $(ARGS)

gpu-check: mnist ## check all that runs on a GPU, in at most ten minutes; ARGS='--device cpu' tries it without one
	$(IN_VENV) scripts/gpu_check.py $(ARGS)

coverage: mnist ## run the tests and list the lines of both packages that none of them reaches
	$(IN_VENV) -m pytest -n 2 --cov --cov-report=term-missing $(TEST_ARGS)

mutants: mnist ## change the core in small ways, which tests should notice; SAMPLE=200, or 0 for all, or FILES='numpy_nn/losses/mse.py'
	$(IN_VENV) scripts/mutants.py --sample $(SAMPLE) $(ARGS) $(FILES)

lint: $(READY) ## check style, format, types and the workflow of hosted CI
	$(IN_VENV) -m ruff check .
	$(IN_VENV) -m ruff format --check .
	@if $(IN_VENV) -c 'import torch' 2>/dev/null; then set -x; $(IN_VENV) -m mypy; \
	    else echo 'torch is not installed: types are not checked, as many are its own'; fi
	$(IN_VENV) -m check_jsonschema --builtin-schema vendor.github-workflows .github/workflows/tests.yml .github/workflows/site.yml

lint-page: ## check the types and the style of the page's JavaScript, where npm is installed
	mkdir -p build/page_lint
	cp scripts/page_lint/* build/page_lint/
	cd build/page_lint && npm ci --ignore-scripts --no-audit --no-fund --silent && npm run --silent check

mnist: $(READY) ## get MNIST into data/, if it is not there
	@$(IN_VENV) scripts/fetch_mnist.py

clean: ## remove caches and runs; .venv and data/ stay
	rm -rf runs build dist setup.log *.egg-info .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find numpy_nn torch_ref scripts tests -name __pycache__ -prune -exec rm -rf {} +

$(READY): setup.cfg pyproject.toml constraints.txt
	@PYTHON='$(PYTHON)' TORCH='$(TORCH)' sh scripts/setup_venv.sh
