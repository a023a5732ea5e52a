# `make` alone lists the targets. Needed: Python 3.11 or 3.12, git, make.

PYTHON ?= $(shell for python in python3 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
	2>/dev/null && echo "$$python" && break; done)
BIN := .venv/bin
SOURCES := operator/dlagent local tests tools $(wildcard examples benchmarks)

export PYTHONPATH := $(CURDIR)/operator:$(CURDIR)/local:$(CURDIR)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help environment demo demo-down test test-unit test-go test-chart test-cluster \
	lint generate generated bench lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

environment: ## the Python environment in .venv, from requirements.lock
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or 3.12 is needed" >&2; exit 1; }
	@"$(PYTHON)" tools/environment.py

demo: environment ## a real Kubernetes, a real Triton, a network served: on this machine
	@exec $(BIN)/python -m dlagent_demo

demo-down: environment ## what the demo left running, gone
	@exec $(BIN)/python -m dlagent_demo --down

# The slow builds of the local cluster and of the servers that tests ask begin at once, beside the
# tests that do not need them. They have a session of their own, so that all of it ends when this
# ends early.
test: environment ## everything that CI runs
	@setsid sh -c '$(BIN)/dlagent local prefetch && $(BIN)/python -m tests.servers' \
		>.make/prefetch.log 2>&1 & prefetch=$$!; \
	trap 'kill -- -$$prefetch 2>/dev/null' EXIT; trap 'exit 130' INT TERM; \
	$(MAKE) --no-print-directory lint test-unit test-chart || exit; \
	echo "waiting for the parts of the local cluster (progress: .make/prefetch.log)"; \
	wait $$prefetch || { cat .make/prefetch.log; exit 1; }; \
	$(MAKE) --no-print-directory test-go test-cluster

test-unit: environment ## decisions and small parts, no cluster
	@$(BIN)/python -m pytest -q -n 2 tests/unit tests/docs

test-go: environment ## the local cluster's container runtime
	@$(BIN)/python tools/go_tests.py

test-chart: environment ## the Helm chart: lint, rendered manifests, permissions
	@$(BIN)/python -m pytest -q tests/chart

test-cluster: environment ## an artifact on a real Triton, the operator on a local cluster
	@$(BIN)/python -m pytest -q -n 3 tests/integration tests/cluster

lint: environment generated ## style, types, import rules, generated files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(SOURCES)
	@$(BIN)/lint-imports --no-logo

generate: environment ## CRD, its copy in the chart, and docs/reference, from the types
	@$(BIN)/python -m dlagent.api.generate
	@$(BIN)/python -m dlagent.report.generate

generated: environment
	@$(BIN)/python -m dlagent.api.generate --check
	@$(BIN)/python -m dlagent.report.generate --check

bench: environment ## one benchmark: make bench NAME=first_answer
	@test -n "$(NAME)" || { echo "error: which one? make bench NAME=first_answer" >&2; exit 2; }
	@$(BIN)/python -m benchmarks $(NAME) $(OPTIONS)

lock: environment ## requirements.lock anew, from pyproject.toml
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --all-extras pyproject.toml --output-file requirements.lock
