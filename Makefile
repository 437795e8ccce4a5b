# Verbs. Each is one line that calls the command line or uv; the first of them makes the environment.
# Needs Python 3.11 with pip, and make. ARGS is passed on: `make test ARGS="-k layout"`.

UV_VERSION := 0.13.9
UV := .tools/uv-$(UV_VERSION)/bin/uv
BIN := .venv/bin

# The first Python 3.11 among the usual names; another one by `make PYTHON=/path/to/python3.11 demo`.
PYTHON ?= $(shell for name in python3.11 python3 python; do \
  $$name -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && command -v $$name && break; done)
# Whatever Python there is may say what is missing; `false` fails after the sentence when there is none.
ANY_PYTHON = $(or $(PYTHON),$(shell command -v python3 || command -v python))
PREFLIGHT = $(or $(ANY_PYTHON),echo "There is no Python here; tfrec needs Python 3.11 with pip." && false) tools/preflight.py

# Of the tests, each with up to 2 GB of memory. Files in the order of their names, so that the run of the pipeline, the
# longest of them, is among the first and the others share what time is left.
PROCESSES ?= 2

export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv

FLINK := .tools/flink
MAVEN_COPY := mvn --batch-mode --quiet --strict-checksums org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies

.PHONY: help demo test test-fast check bench serve flink clean
.DELETE_ON_ERROR:

help:  ## list these verbs
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile

demo: .venv/.ready  ## raw data -> pipeline -> server -> recommendations, on real data (about 12 minutes)
	$(BIN)/tfrec demo $(ARGS)

test: .venv/.ready  ## every test, the slow ones included
	$(BIN)/pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: .venv/.ready  ## the tests that take seconds each, in less than 3 minutes
	$(BIN)/pytest --numprocesses $(PROCESSES) -m "not slow" $(ARGS)

check: .venv/.ready  ## format, lint and types
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

bench: .venv/.ready data/complete-journey/manifest.json  ## the measurements behind the README's figures, written to out/benchmarks/
	@for script in $(filter-out %/__init__.py %/quality.py %/variants.py %/scale.py %/grown.py %/stock.py %/table.py %/load.py %/shop.py %/served.py,$(wildcard benchmarks/*.py)); do echo "== $$script" && $(BIN)/python $$script || exit 1; done

data/complete-journey/manifest.json: | .venv/.ready
	$(BIN)/tfrec ingest complete-journey

serve: .venv/.ready  ## answer TensorFlow Serving's protocol on ports 8500 (gRPC) and 8501 (REST)
	$(BIN)/tfrec serve $(ARGS)

flink: $(FLINK)  ## fetch Flink by Maven (both need Java), so that `make test` runs steps of the pipeline on it

# A download whose checksum is not the one that the registry publishes is refused by --strict-checksums.
$(FLINK): tools/flink/pom.xml
	@command -v java >/dev/null && command -v mvn >/dev/null || { echo "make flink: there is no java or no mvn here;" \
	  "install Java 11 or newer and Maven, on Debian by: apt-get install default-jre-headless maven" >&2; exit 1; }
	@rm -rf $@ .tools/fetched && mkdir -p .tools
	$(MAVEN_COPY) --file $< -DoutputDirectory=$(CURDIR)/.tools/fetched
	@mv .tools/fetched $@ && touch $@

clean:  ## drop the environment and the caches; data/ and out/ stay
	rm -rf .venv .tools build .pytest_cache .mypy_cache .ruff_cache

# The stamp is written last: an interrupted setup runs again. uv takes a package for whole once its metadata
# is there, so after a setup that was killed (the marker is left) every package is laid anew, from uv's cache.
.venv/.ready: uv.lock pyproject.toml $(UV)
	@$(PREFLIGHT) && touch .tools/unfinished
	$(UV) sync --locked --extra dev --python $(PYTHON) $(if $(wildcard .tools/unfinished),--reinstall)
	@touch $@ && rm .tools/unfinished

# --target works without venv and ensurepip, and on Debian's externally managed Python (PEP 668).
$(UV):
	@$(PREFLIGHT)
	$(PYTHON) -m pip install --disable-pip-version-check --root-user-action=ignore \
	  --upgrade --target .tools/uv-$(UV_VERSION) uv==$(UV_VERSION)
	@touch $@
