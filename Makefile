# The two commands to know: `make run` and `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The CPU build of torch is a tenth of the size of the package index's build, which includes the CUDA libraries.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH := torch==2.8.0 torchvision==0.23.0
INSTALLED := $(VENV)/.installed
# Each package is held against its sha256, and nothing is resolved; one without a wheel is built with what is installed.
LOCKED := $(BIN)/python -m pip install --quiet --require-hashes --no-deps --no-build-isolation
ARGS ?=
# Of the container images; the release's.
TAG ?= $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' src/vqi/__init__.py)
# Tests run in several processes (tests/conftest.py says how many); each may start servers and steps of its own. A process
# that crashes is not replaced: pytest-xdist would then wait for ever for its tests.
SIDE_BY_SIDE := -n auto --dist loadgroup --no-loadscope-reorder --max-worker-restart 0

.DEFAULT_GOAL := help
.PHONY: help install run test test-fast test-cluster check format compile check-compiled docs gallery bench images lock check-lock sbom clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Create the virtual environment .venv and install everything into it

$(INSTALLED): pyproject.toml locks/develop.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || \
		{ echo "error: Python 3.11 or 3.12 is needed, got $$($(PYTHON) --version): make PYTHON=python3.11 ..." >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(LOCKED) --requirement locks/pip.txt
	@if ! $(BIN)/python -c 'import urllib.request as u; u.urlopen("$(TORCH_INDEX)/torch/", timeout=5)' 2> /dev/null; then \
		echo "the CPU build of torch cannot be reached: installing the package index's build, which is several GB (about 2 minutes)"; \
		$(LOCKED) --requirement images/locks/cuda.txt --requirement images/locks/torch.txt; \
	elif [ -f images/locks/torch-cpu.txt ]; then \
		$(LOCKED) --index-url $(TORCH_INDEX) --requirement images/locks/torch-cpu.txt; \
	else \
		echo "the CPU build of torch is not locked: 'images/lock.py --torch-index $(TORCH_INDEX)' locks it"; \
		$(BIN)/python -m pip install --quiet --no-deps --index-url $(TORCH_INDEX) $(TORCH); \
	fi
	$(LOCKED) --requirement locks/develop.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(INSTALLED)

run: install ## Run the whole pipeline on the embedded dataset (ARGS="-p name=value ..." for more)
	$(BIN)/vqi run $(ARGS)

test: install ## Run all tests (ARGS="-k name" for some; COVERAGE=yes measures which branches they cover)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(if $(COVERAGE),--cov) $(ARGS)
	$(if $(COVERAGE),$(BIN)/python -m tests.coverage_floor)

test-fast: install ## Run the tests that need neither torch nor a server, for use while developing
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --fast $(ARGS)

test-cluster: install ## Run the tests on the cluster of KUBECONFIG (tests/cluster/conftest.py says what they need)
	VQI_TEST_CLUSTER=yes $(BIN)/python -m pytest tests/cluster $(ARGS)

check: install ## Lint, types, architecture, compiled files up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(MAKE) --no-print-directory check-compiled check-lock

format: install ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

compile: install ## Compile the pipeline into manifests/ and chart/, and write docs/reference
	$(BIN)/vqi compile
	$(BIN)/python -m chart.generate
	$(BIN)/python docs/generate.py

check-compiled: install ## Fail when manifests/ or docs/reference differs from what it is made of
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
		$(BIN)/vqi compile --output "$$scratch" > /dev/null && diff -ru manifests "$$scratch" || \
		{ echo "manifests/ is out of date: run 'make compile' and commit the result" >&2; exit 1; }
	$(BIN)/python docs/generate.py --check

docs: install ## Build the site of the documents into build/site; a link that leads nowhere fails
	rm -rf build/site
	$(BIN)/python -m sphinx --builder html --conf-dir docs/site --doctree-dir build/doctrees --fresh-env --fail-on-warning --keep-going --quiet . build/site
	@echo "build/site/index.html"

gallery: install ## Run the pipeline on the embedded dataset, and build the site with the pages that it writes
	$(BIN)/python docs/gallery.py build/gallery
	VQI_GALLERY=build/gallery/pages $(MAKE) --no-print-directory docs

bench: install ## Measure speed and memory, printed as tables
	$(BIN)/python -m tests.benchmarks $(ARGS)

images: ## Build the container images (ENGINE=podman BASE=name@sha256:..., see images/build)
	images/build

lock: install ## Resolve the packages of the container images into images/locks
	$(BIN)/python images/lock.py

check-lock: install ## Fail when images/locks does not belong to this pyproject.toml
	$(BIN)/python images/lock.py --check

sbom: ## Write the contents of the container images to dist/*.cdx.json (CycloneDX; SIGN_KEY=key.pem signs them)
	for name in vqi vqi-torch vqi-pipeline vqi-serve vqi-serve-torch; do $(PYTHON) images/sbom.py $$name:$(TAG) --output dist/$$name.cdx.json $(if $(SIGN_KEY),--sign-key $(SIGN_KEY)) || exit; done

clean: ## Remove the virtual environment, runs, the local store and caches
	rm -rf $(VENV) runs store dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
