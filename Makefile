# Verbs of the project; the first one called installs the environment.
# Needs Python 3.11 with pip, and make. ARGS is passed on: `make test ARGS="-k layout"`.

UV_VERSION := 0.13.9
UV := .tools/uv-$(UV_VERSION)/bin/uv
BIN := .venv/bin

# The first Python 3.11 among the usual names; override it: `make PYTHON=/path/to/python3.11 demo`.
PYTHON ?= $(shell for name in python3.11 python3 python; do \
  $$name -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && command -v $$name && break; done)
# The preflight runs on any Python; without one, a sentence is printed and `false` fails.
ANY_PYTHON = $(or $(PYTHON),$(shell command -v python3 || command -v python))
PREFLIGHT = $(or $(ANY_PYTHON),echo "There is no Python here; tfrec needs Python 3.11 with pip." && false) tools/preflight.py

# Test processes, up to 2 GB of memory each. Files run in name order, so that the longest, the run of
# the pipeline, starts early.
PROCESSES ?= 2

# Some machines set it. Without bytecode on disk, each process compiles TensorFlow and TFX again, for
# 5 to 12 seconds of CPU time.
unexport PYTHONDONTWRITEBYTECODE

export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv

FLINK := .tools/flink
MAVEN_COPY := mvn --batch-mode --quiet --strict-checksums org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies

.PHONY: help demo test test-fast check bench serve flink clean
.DELETE_ON_ERROR:

help:  ## list all verbs
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile

demo: .venv/.ready  ## raw data -> pipeline -> server -> recommendations, on real data (about 13 minutes)
	$(BIN)/tfrec demo $(ARGS)

test: .venv/.ready  ## all tests, including slow ones
	$(BIN)/pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: .venv/.ready  ## all tests but the slow ones, in less than 3 minutes
	$(BIN)/pytest --numprocesses $(PROCESSES) --dist loadfile -m "not slow" $(ARGS)

check: .venv/.ready  ## format, lint and types
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

bench: .venv/.ready data/complete-journey/manifest.json  ## measure the README's figures, write them to out/benchmarks/
	@for script in $(filter-out %/__init__.py %/kinds.py %/naive.py %/quality.py %/scale.py,$(wildcard benchmarks/*.py benchmarks/lists/*.py)); do echo "== $$script" && $(BIN)/python $$script || exit 1; done

data/complete-journey/manifest.json: | .venv/.ready
	$(BIN)/tfrec ingest complete-journey

serve: .venv/.ready  ## serve TensorFlow Serving's protocol on ports 8500 (gRPC) and 8501 (REST)
	$(BIN)/tfrec serve $(ARGS)

flink: $(FLINK)  ## download Flink with Maven (both need Java); `make test` then tests pipeline steps on it

# --strict-checksums refuses a download whose checksum differs from the registry's.
$(FLINK): tools/flink/pom.xml
	@command -v java >/dev/null && command -v mvn >/dev/null || { echo "make flink: there is no java or no mvn here;" \
	  "install Java 11 or newer and Maven, on Debian by: apt-get install default-jre-headless maven" >&2; exit 1; }
	@rm -rf $@ .tools/fetched && mkdir -p .tools
	$(MAVEN_COPY) --file $< -DoutputDirectory=$(CURDIR)/.tools/fetched
	@mv .tools/fetched $@ && touch $@

clean:  ## delete the environment and the caches; keep data/ and out/
	rm -rf .venv .tools build .pytest_cache .mypy_cache .ruff_cache

# The stamp is written last, so an interrupted setup runs again. uv treats a package as complete once
# its metadata exists; after a killed setup (its marker remains) all packages are reinstalled from cache.
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
