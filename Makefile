# Two commands matter to a newcomer: `make demo` and `make test`. Both set everything up by themselves.

PYTHON ?= python3
DEMO ?= examples/orders/task.yaml
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
VIEWER := web/frontend
# Two processes: CI has two cores, and each may hold a small model. A file stays in one process.
PARALLEL := --numprocesses 2 --dist loadfile --no-loadscope-reorder
CODE := agentflow planners tools evals web tests benchmarks examples

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## Set up and solve a real task on the embedded model: no key, no service
	$(BIN)/agentflow models pull qwen2.5-coder-0.5b
	$(BIN)/agentflow run $(DEMO) --model gguf:qwen2.5-coder-0.5b

pocket: recurrent ## Set up and win a text game with the 2.3 MB model that comes along
	$(BIN)/agentflow run examples/pocket/task.yaml

test: weights recurrent lint viewer-check browser ## Set up, check the code and run the tests
	$(BIN)/pytest -m "not long" $(PARALLEL)

check: lint ## The same without the viewer's source and the tests that run a model
	$(BIN)/pytest -m "not long and not model" $(PARALLEL)

lint: recurrent ## Format, lint, types, import rules
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

weights: $(READY) # the small models that the tests run
	$(BIN)/agentflow models pull smollm2-135m
	$(BIN)/agentflow models pull qwen2.5-coder-0.5b

recurrent: $(VENV)/.recurrent # torch and what serves recurrent models, beside the locked rest

viewer: ## Build the viewer's page anew (needs Node 20.19 or newer)
	cd $(VIEWER) && npm ci --no-audit --no-fund && npm run build

viewer-check: ## Check and test the viewer's source, and that the committed build is what it gives
	@if command -v npm > /dev/null; then $(VIEWER)/check.sh; \
		else echo "viewer-check: no npm here, so the viewer's source is not checked"; fi

browser: ## Have a Chromium for the browser tests; as root on Debian it is installed
	@command -v chromium chromium-browser google-chrome > /dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null \
			&& apt-get update -qq && apt-get install -y -qq chromium fonts-dejavu-core > /dev/null; } \
		|| echo "browser: no Chromium here, so the browser tests will be skipped; install chromium"

test-long: $(READY) weights ## Run all long tests: the fault storms, the demo many times over
	$(BIN)/pytest -m long --timeout 3600

test-faults: $(READY) ## Kill runs hundreds of times and look whether the journal holds
	$(BIN)/pytest tests/faults -m long --timeout 3600

test-planners: $(READY) weights ## Run the example of every planner on a small model, kill it in the middle, resume it
	$(BIN)/pytest tests/planners/test_examples.py -m long --timeout 3600

test-cluster: recurrent weights ## Kill nodes, workers, drivers and replicas of Ray clusters on this machine
	$(BIN)/pip install --quiet 'ray[serve]>=2.60,<2.61'
	$(BIN)/pytest tests/agentflow/cluster --timeout 3600

OLDER := 5.17.0
test-older: recurrent ## The tests of every architecture with the oldest transformers that is supported
	$(BIN)/pip install --quiet --no-deps --target $(VENV)/older/$(OLDER) transformers==$(OLDER) 'huggingface_hub<2'
	PYTHONPATH=$(VENV)/older/$(OLDER) $(BIN)/pytest tests/agentflow/recurrent/language_models

test-storm: recurrent ## 64 clients at the server of a recurrent model for ten minutes
	$(BIN)/pytest tests/agentflow/recurrent/server/test_storm.py -m long --timeout 3600

bench: $(READY) ## Measure against peers, in one run
	$(BIN)/pip install --quiet --require-hashes -r requirements-bench.lock
	$(BIN)/python -m benchmarks.engines
	$(BIN)/python -m benchmarks.misplaced

format: $(READY) ## Format the code and fix what can be fixed
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

wheel: $(READY) ## Build the wheel into dist/
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

lock: $(READY) ## Write the lock files again (hashes, no addresses)
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile $(LOCK) $(TESTED) --group dev --output-file requirements.lock
	$(BIN)/uv pip compile $(LOCK) $(TESTED) --group dev --group bench --output-file requirements-bench.lock

TESTED := --extra langgraph --extra mcp --extra ray --extra local --extra otel --extra postgres --extra games \
	--extra suites --extra worlds --extra parquet --extra inspect --extra view
LOCK := pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links

clean: ## Remove what was built
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "AgentFlow needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

# No hashes: which build of torch fits depends on the machine.
$(VENV)/.recurrent: requirements-recurrent.lock $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-recurrent.lock
	@touch $@

.PHONY: help demo pocket test check lint weights recurrent viewer viewer-check browser test-long test-faults test-planners test-cluster test-older test-storm bench format wheel lock clean
