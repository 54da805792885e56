# `make` shows what there is to make. Needs Python 3.11 or newer, make, and the way to a package index.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet
KUBECTL ?= kubectl
# How images come into the cluster, and how parts of it are ended and started for tests; both may be empty.
#   kind: LOAD="kind load docker-image"   minikube: LOAD="minikube image load"
LOAD ?=
CONTROL ?=
HELM_SOURCE := helm.sh/helm/v3/cmd/helm@v3.22.0
ARGS ?=

DOCKER ?= docker
TAG ?= dev
IMAGES := refit-run refit-extract refit-train refit-evaluate refit-publish refit-demo
# Where pip finds packages in a build (docker/Dockerfile tells of more ways), and what else `docker build` needs here.
INDEX := $(foreach name,PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST,$(if $($(name)),--build-arg $(name)))
BUILD_ARGS ?=

# Two processes that both start a thread per core are slower than one; OpenMP threads that spin are far worse.
# Hundreds of processes that would each compile refit anew take half a minute more.
TEST_SETTINGS := env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
# Hundreds of stores that flush each object to disk wait for it a third of the time: in memory, where 4 GiB are free.
# What killed processes leave there goes too. PostgreSQL, which is no root, uses it as any temporary folder.
TEST_ROOM = df -Pk /dev/shm 2>/dev/null | awk 'END {if ($$4 > 4000000) print "/dev/shm"}'
IN_TEST_ROOM = room=$$(mktemp -d -p "$$($(TEST_ROOM))" refit-tests-XXXXXX) && chmod 1777 "$$room" && \
  trap 'rm -rf "$$room"' EXIT && trap 'exit 130' INT TERM && $(TEST_SETTINGS) TMPDIR="$$room"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-monitoring fuzz check helm manifests deploy-dev lock bench images smoke e2e e2e-all clean

help: ## show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/demo.stamp ## retrain on real flights for eight weeks; again: the weeks that follow (ARGS=--fresh: anew)
	@$(BIN)/refit demo $(ARGS)

test: $(VENV)/dev.stamp ## run all tests (ARGS="-k gate -n 0" for some)
	@$(IN_TEST_ROOM) $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-monitoring: $(VENV)/dev.stamp ## run the tests of alerts and dashboards, with real servers on ports of their own
	@$(IN_TEST_ROOM) $(BIN)/python -m pytest -n 2 tests/monitoring tests/unit/docs/test_runbook.py $(ARGS)

fuzz: $(VENV)/dev.stamp ## try 10,000 generated files and 1,000 generated tables: half an hour
	@$(IN_TEST_ROOM) REFIT_FUZZ=1 $(BIN)/python -m pytest -n 2 tests/unit/core/test_config_properties.py tests/faults/test_tables.py $(ARGS)

check: $(VENV)/dev.stamp ## lint, types, import directions, locked requirements, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python requirements/lock.py --check
	$(BIN)/python helm/policies.py --check
	$(BIN)/python k8s/render.py --check
	$(BIN)/python monitoring/generate.py --check

helm: $(VENV)/dev.stamp ## build helm with Go for the chart's tests, unless it is there: minutes, once
	@command -v helm >/dev/null || test -x $(BIN)/helm || { command -v go >/dev/null && \
	  GOBIN=$(abspath $(BIN)) CGO_ENABLED=0 go install -trimpath -ldflags '-s -w' $(HELM_SOURCE); } || \
	  echo "no helm, and no Go to build it: the tests of the chart are skipped"

manifests: $(VENV)/dev.stamp helm ## render the plain manifests of k8s/ from the chart, and the policies
	$(BIN)/python helm/policies.py
	$(BIN)/python k8s/render.py

deploy-dev: ## bring up servers and the demo's pipeline in namespace refit-dev of the cluster that KUBECONFIG names
	-$(KUBECTL) --namespace refit-dev delete job load-flights set-up-store --ignore-not-found
	$(KUBECTL) apply --kustomize k8s/dev
	$(KUBECTL) --namespace refit-dev wait --for=condition=Available --timeout=180s deployment --all
	$(KUBECTL) --namespace refit-dev wait --for=condition=Complete --timeout=300s job/load-flights job/set-up-store
	@echo "next: $(KUBECTL) --namespace refit-dev create job --from=cronjob/flight-delays flight-delays-by-hand-1"

lock: $(VENV)/dev.stamp ## lock the packages of each extra anew (ARGS=--upgrade: newer versions)
	$(BIN)/python requirements/lock.py $(ARGS)

bench: $(VENV)/dev.stamp ## measure speed and memory; prints tables, writes JSON
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file" $(ARGS); done

images: ## build all images and print their sizes (TAG=dev, BUILD_ARGS="--network host")
	@set -e; version=$$(sed -n 's/^__version__.*"\(.*\)"/\1/p' services/refit/core/about.py); \
	revision=$$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || echo unknown); \
	for image in $(IMAGES); do echo "== $$image:$(TAG)"; \
	  $(DOCKER) build --quiet --file docker/Dockerfile $(INDEX) $(BUILD_ARGS) --build-arg IMAGE=$$image \
	    --build-arg VERSION=$$version --build-arg REVISION=$$revision --tag $$image:$(TAG) .; done
	@python3 docker/sizes.py $(IMAGES:%=%:$(TAG))

smoke: $(VENV)/dev.stamp ## start every image alone and run its step (after make images; TAG=dev)
	@$(IN_TEST_ROOM) REFIT_TEST_TAG=$(TAG) $(BIN)/python -m pytest -n 0 tests/images $(ARGS)

e2e: CASES := -m core
e2e e2e-all: $(VENV)/dev.stamp
	@$(KUBECTL) version >/dev/null || { echo "no cluster answers: let KUBECONFIG name one"; exit 1; }
	@$(if $(LOAD),$(LOAD) $(IMAGES:%=%:$(TAG)),echo "LOAD is empty, so the cluster must have the images already")
	@$(IN_TEST_ROOM) REFIT_TEST_TAG=$(TAG) REFIT_TEST_CONTROL="$(CONTROL)" \
	  $(BIN)/python -m pytest -n 0 tests/e2e --durations=0 --durations-min=5 $(CASES) $(ARGS)
e2e: ## ten cases in the cluster of KUBECONFIG (after make images; LOAD="kind load docker-image")
e2e-all: ## every case (CONTROL="…" to kill parts of the cluster)

clean: ## remove what was built, but no runs and no data; the next make sets up again
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up: one environment for all; what stands is not done again ---------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "refit needs Python 3.11 or newer as $(PYTHON); name another one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "this Python cannot make virtual environments: install the package python3-venv, then make again"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# First pip and the build tools, locked too: what comes as source only is built with these and no others.
define INSTALL
@$(PIP) --require-hashes -r requirements/build.txt
@$(PIP) --require-hashes --no-build-isolation -r requirements/$(1).txt
@$(PIP) --no-deps --no-build-isolation --editable .
@touch $(VENV)/$(1).stamp
endef

$(VENV)/demo.stamp: requirements/build.txt requirements/demo.txt pyproject.toml | $(BIN)/python
	@echo "setting up $(VENV) with the packages of the demo: a minute or two, once"
	$(call INSTALL,demo)

$(VENV)/dev.stamp: requirements/build.txt requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "setting up $(VENV) with the packages for tests and checks: two minutes, once"
	$(call INSTALL,dev)
