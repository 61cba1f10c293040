# `make` alone prints what there is. Needed on the machine: make, Python 3.11 or newer, and Go (only where
# neither a Pulumi engine nor its download is at hand). All else goes into .venv.

.POSIX:
.PHONY: help venv policy-venv rehearse policy compare preflight artifacts bench faults mutants generated lock workflows test test-all test-unit lint types fmt clean

STACK ?= dev
BASE ?= main
ARGS ?=
PYTHON ?=

BIN = .venv/bin
INSTALLED = .venv/.installed
POLICY_INSTALLED = policy/.venv/.installed
SELECT = not whole
RUN_PYTEST = $(BIN)/pytest -q -m '$(SELECT)'
# Two workers: a rehearsal keeps about one core busy. tests/conftest.py says which tests stay together.
RUN_PARALLEL = $(RUN_PYTEST) --numprocesses 2 --dist loadfile
GET_ENGINE = $(BIN)/python -c 'from rehearsal.engine import ensure; print(ensure(print))'
PYRIGHT = PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --warnings

help:
	@echo 'make rehearse [STACK=prod] [ARGS=...]  run the program through the real engine against an embedded cloud'
	@echo 'make policy [STACK=prod] [ARGS=...]    the same, judged by the policy pack'
	@echo 'make compare [BASE=main] [ARGS=...]    what the change since BASE would do to every environment'
	@echo 'make preflight [STACK=prod] [ARGS=...] ask the cloud, with your credentials, what would stop an up'
	@echo 'make artifacts [STACK=prod] [ARGS=...] every image and chart that a stack needs, and where it comes from'
	@echo 'make test                              everything: format, lint, types, unit, conformance, engine'
	@echo 'make test-all                          the same, with every combination of the modes (long)'
	@echo 'make test-unit                         the tests that take seconds'
	@echo 'make faults [ARGS="-k kill"]           every create and delete fails once, the engine is killed, ... (long)'
	@echo 'make mutants                           faults are planted in a copy, one wrong line each: a test must fail (long)'
	@echo 'make generated                         regenerate the generated catalogs and pages'
	@echo 'make workflows                         actionlint and zizmor on .github/workflows'
	@echo 'make lock [ARGS=--upgrade]             requirements*.txt, with hashes, from requirements*.in'
	@echo 'make bench                             measure time and memory of previews'
	@echo 'make lint | types | fmt                ruff | pyright | rewrite files in the format of the project'
	@echo 'make venv                              create .venv from the requirement files (the others do it too)'
	@echo 'make clean                             remove .venv and every cache in this folder'

venv: $(INSTALLED)

# requirements-dev.txt has the other two inside. A file whose hash is not in it is not installed.
$(INSTALLED): requirements-dev.txt
	@set -e; \
	fits() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }; \
	if ! fits .venv/bin/python; then \
	  python=; \
	  for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	    if fits "$$candidate"; then python=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "make venv: no Python 3.11 or newer on PATH (python3 is: $$(python3 --version 2>&1));" \
	         'install one, or name it: make venv PYTHON=/path/to/python3' >&2; exit 1; \
	  fi; \
	  rm -rf .venv; \
	  if command -v uv >/dev/null 2>&1; then \
	    uv venv --quiet --seed --python "$$("$$python" -c 'import sys; print(sys.executable)')" .venv; \
	  elif "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	    "$$python" -m venv .venv; \
	  else \
	    echo "make venv: $$python has no ensurepip, so it cannot create .venv;" \
	         'on Debian and Ubuntu install python3-venv, or put uv on PATH' >&2; exit 1; \
	  fi; \
	fi; \
	echo 'installing requirements-dev.txt into .venv'; \
	if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements-dev.txt; \
	else \
	  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt; \
	fi; \
	touch $@

policy-venv: $(POLICY_INSTALLED)

$(POLICY_INSTALLED): policy/requirements.txt | $(INSTALLED)
	@set -e; \
	echo 'installing policy/requirements.txt into policy/.venv'; \
	rm -rf policy/.venv; \
	if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --python .venv/bin/python policy/.venv; \
	  uv pip install --quiet --python policy/.venv/bin/python --require-hashes -r policy/requirements.txt; \
	else \
	  .venv/bin/python -m venv policy/.venv; \
	  policy/.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	    -r policy/requirements.txt; \
	fi; \
	touch $@

rehearse: $(INSTALLED)
	@$(BIN)/python -m rehearsal --stack $(STACK) $(ARGS)

compare: $(INSTALLED)
	@$(BIN)/python -m change_report --base '$(BASE)' $(ARGS)

policy: $(INSTALLED) $(POLICY_INSTALLED)
	@$(BIN)/python -m policy.config && $(BIN)/python -m rehearsal --stack $(STACK) --policy $(ARGS)

artifacts: $(INSTALLED)
	@$(BIN)/python -m artifacts --stack $(STACK) $(ARGS)

preflight: $(INSTALLED)
	@$(BIN)/python -m preflight --stack $(STACK) $(ARGS)

bench: $(INSTALLED)
	@$(BIN)/python -m tools.bench $(ARGS)

faults: $(INSTALLED)
	@$(GET_ENGINE)
	@$(BIN)/pytest -v --numprocesses 2 -m 'whole or not whole' --timeout 3600 tests/resilience $(ARGS)

mutants: $(INSTALLED)
	@$(GET_ENGINE)
	@$(BIN)/python -m mutants $(ARGS)

# Data and pages that are made, not written: run after a layout, a rule or an SGLang release has changed.
generated: $(INSTALLED) $(POLICY_INSTALLED)
	@for tool in sglang_arguments custom_kinds "policy_rules --write" "mutate_layouts --write" \
	  "config_reference --write" "bootstrap_reference --write" "provider_fields --write" "platform_team --write" \
	  "isolation_reference --write" "vulnerabilities_reference --write" "notices --write"; do \
	  $(BIN)/python -m tools.$$tool || exit 1; done

workflows: $(INSTALLED)
	@$(BIN)/python -m tools.workflows

# What is pinned stays as it is: only what a changed .in file asks for moves, or everything with ARGS=--upgrade.
# Then install it (make venv) and list it in THIRD_PARTY.md (make generated).
lock: $(INSTALLED)
	@uv="$$PWD/$(BIN)/uv"; \
	for source in requirements*.in */requirements*.in; do \
	  if [ -e "$$source" ]; then (cd "$$(dirname "$$source")" && file=$$(basename "$$source" .in) && \
	    "$$uv" pip compile --quiet --universal --generate-hashes --python-version=3.11 $(ARGS) \
	      --output-file=$$file.txt $$file.in) || exit 1; fi; \
	done

# The preflight's tests run alone: Google's libraries and the SDK's provider server both register google.rpc.Status.
# Stops at the first step that fails. The last line counts the tests of all three tiers.
test: $(INSTALLED) $(POLICY_INSTALLED)
	@reports=.pytest_cache/reports; rm -rf $$reports; mkdir -p $$reports; \
	step() { \
	  name=$$1; shift; printf '\n== %s\n' "$$name"; begin=$$(date +%s); \
	  "$$@" || { code=$$?; printf '== %s failed after %s s\n' "$$name" $$(($$(date +%s) - begin)); exit $$code; }; \
	  printf '== %s took %s s\n' "$$name" $$(($$(date +%s) - begin)); \
	}; \
	step format $(BIN)/ruff format --check --quiet .; \
	step lint $(BIN)/ruff check --quiet .; \
	step types env $(PYRIGHT); \
	step 'types of the policy pack' env $(PYRIGHT) -p policy; \
	step unit $(RUN_PARALLEL) --junitxml=$$reports/unit.xml tests/unit; \
	step harness $(RUN_PARALLEL) --junitxml=$$reports/harness.xml tests/harness; \
	step tools $(RUN_PARALLEL) --junitxml=$$reports/tools.xml tests/tools; \
	step readiness $(RUN_PARALLEL) --junitxml=$$reports/readiness.xml tests/readiness; \
	step preflight $(RUN_PARALLEL) --junitxml=$$reports/preflight.xml tests/preflight; \
	step conformance $(RUN_PARALLEL) --junitxml=$$reports/conformance.xml tests/conformance; \
	step 'engine to run' $(GET_ENGINE); \
	step engine $(RUN_PARALLEL) --junitxml=$$reports/engine.xml tests/engine; \
	step resilience $(BIN)/pytest -q --numprocesses 2 --junitxml=$$reports/resilience.xml tests/resilience; \
	printf '\n'; $(BIN)/python tests/tally.py $$reports/*.xml

# The same with every combination of the modes in place of a pairwise selection; `make faults` is the long form of the
# last step.
test-all:
	@$(MAKE) test SELECT='whole or not whole'

test-unit: $(INSTALLED)
	@$(RUN_PYTEST) tests/unit

lint: $(INSTALLED)
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: $(INSTALLED) $(POLICY_INSTALLED)
	@$(PYRIGHT) && $(PYRIGHT) -p policy

fmt: $(INSTALLED)
	@$(BIN)/ruff check --fix --quiet .; $(BIN)/ruff format .

clean:
	rm -rf .venv policy/.venv .pytest_cache .ruff_cache .hypothesis rehearsal-out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
