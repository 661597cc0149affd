# Jobs of the house. `make` alone lists them; CI calls them and nothing else.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

help: ## list the jobs
	@grep -hE '^[a-z./-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

.venv/edge: requirements.lock requirements-uv.lock packaging/system.sh
	bash packaging/system.sh run && test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-uv.lock
	bash packaging/install.sh requirements.lock && touch $@

.venv/ok: .venv/edge requirements-dev.lock
	bash packaging/system.sh test && bash packaging/install.sh requirements-dev.lock && touch $@

run: .venv/edge ## a synthetic lane on http://127.0.0.1:8080 (edge packages only, no torch)
	$(BIN)/traylane run --config configs/demo.yaml

test: .venv/ok ## all tests; every skip is printed with its reason
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/ok ## lint, format, types, floors, spelling
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/codespell
	$(BIN)/mypy && $(BIN)/lint-imports

bench: .venv/ok ## all figures of the README, into bench/results (an hour on two quiet cores)
	for name in detector traynet render bottle overhead live_latency lane_accuracy rtsp kill9; do $(BIN)/python -m bench.$$name || exit 1; done
	$(BIN)/python -m bench.from_nothing

bench-tracker: .venv/ok ## all figures of the tracker (a quarter of an hour)
	$(BIN)/python -m bench.tracker && $(BIN)/python -m bench.flow

bench-training: .venv/ok ## figures of the detectors and of training (two hours; few_images needs var/edge of `train --edge`)
	$(BIN)/python -m bench.few_images --init var/edge/synthetic/best.pt && $(BIN)/python -m bench.edge --synthetic var/edge/synthetic/best.pt
	for name in overfit_gate resume seed_comparison label_issues; do $(BIN)/python -m bench.$$name || exit 1; done

docs: .venv/edge ## renew docs/config.md and the JSON Schema from the settings models
	$(BIN)/python docs/generate.py

dashboards: .venv/edge ## Superset with the three dashboards over var/traylane.db, DASH_STORE_URI, or else a sample
	test -e var/traylane.db -o -e var/sample.db -o -n "$$DASH_STORE_URI" || $(BIN)/python -m dashboards.sample --store sqlite:///var/sample.db
	$(PYTHON) dashboards/dash.py up $$(test -e var/traylane.db -o -n "$$DASH_STORE_URI" || echo --store sqlite:///var/sample.db)

lock: ## renew the locks after a change of pyproject.toml
	bash packaging/lock.sh

.PHONY: help run test check bench bench-tracker bench-training docs dashboards lock
