# `make run` starts everything; `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: help run worker demo token test format check fast coverage simulate mutate bench proto schema clean

PY := .venv/bin/python
INSTALL := @scripts/install.sh
COVERED := tests/unit tests/operations tests/store
DATA := $(or $(HATCHET_DATA_DIR),data)
WORKER_ENV = HATCHET_CLIENT_TOKEN="$${HATCHET_CLIENT_TOKEN:-$$(cat $(DATA)/token)}" \
	HATCHET_CLIENT_TLS_STRATEGY="$${HATCHET_CLIENT_TLS_STRATEGY:-none}"

help:           ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*##/\t/' | expand -t 12

run:            ## install what is needed, then run database, engine and web until Ctrl-C
	$(INSTALL) requirements.txt
	@exec $(PY) manage.py up

worker:         ## an example worker, written with the official SDK
	$(INSTALL) requirements-examples.txt
	@test -n "$$HATCHET_CLIENT_TOKEN" || test -r $(DATA)/token || \
		{ echo "No token yet: start 'make run' in another terminal first."; exit 1; }
	@$(WORKER_ENV) exec $(PY) examples/quickstart/worker.py

demo:           ## trigger every example task and print the results
	$(INSTALL) requirements-examples.txt
	@test -n "$$HATCHET_CLIENT_TOKEN" || test -r $(DATA)/token || \
		{ echo "No token yet: start 'make run' in another terminal first."; exit 1; }
	@$(WORKER_ENV) exec $(PY) examples/quickstart/demo.py

token:          ## print a new API token for the default tenant
	@$(PY) manage.py createtoken

test:           ## every test, on a clean machine too
	$(INSTALL) requirements-dev.txt
	$(PY) -m pytest -n 2

fast:           ## the tests that need neither browser nor SDK
	$(INSTALL) requirements-dev.txt
	$(PY) -m pytest -q -n 2 -m "not e2e and not chaos"

format:         ## format code and templates
	$(INSTALL) requirements-dev.txt
	$(PY) -m ruff format .
	$(PY) -m djlint templates --reformat --quiet

check:          ## what must be right before a push
	$(INSTALL) requirements-dev.txt
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy .
	.venv/bin/lint-imports
	$(PY) -m djlint templates --lint --check --quiet
	$(PY) -m pytest -q -n 2 -m "not e2e and not chaos" $(addprefix --ignore=,$(COVERED))
	@$(MAKE) --no-print-directory coverage

coverage:       ## which lines the tests of rules, operations and statements leave out; fails when they grow
	$(INSTALL) requirements-dev.txt
	$(PY) -m coverage run -m pytest -q $(COVERED)
	$(PY) -m coverage report --include='engine/domain/*' --fail-under=97
	$(PY) -m coverage report --include='engine/operations/*' --fail-under=94
	$(PY) -m coverage report --include='engine/store/*' --fail-under=96

simulate:       ## durable tasks under random mishaps: SEEDS=1000 of them, or the story of SEED=17
	$(INSTALL) requirements-dev.txt
	$(PY) -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000))

mutate:         ## change one expression of the rules at a time, list what no test notices; PATHS=, SAMPLE=
	$(INSTALL) requirements-dev.txt
	$(PY) -m tests.mutation $(PATHS) $(if $(SAMPLE),--sample $(SAMPLE))

bench:          ## measure throughput and latency; writes benchmarks/results/
	$(INSTALL) requirements-dev.txt
	$(PY) -m benchmarks

proto:          ## generate engine/pb from proto/
	$(INSTALL) requirements-dev.txt
	$(PY) -m proto.generate

schema:         ## write engine/schema.sql: what the migrations make
	$(INSTALL) requirements-dev.txt
	$(PY) -m tests.schema

clean:          ## remove everything that can be made again; data/ stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage
