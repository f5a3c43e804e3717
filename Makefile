# make up              a verified cluster on this machine (PRESET=mini-hpc for another one)
# make test            every test of the project, those on real machines included; LABCTL_TEST_SERVICES=1 adds ten minutes for
#                      accounting and REST
# make setup           the part of both that needs the network: host packages, Python, the box
# make bench           how long it all takes, beside bare machines and beside how people do it today
# make site            the documentation as a site, in site/
PRESET ?= full
PYTHON ?= python3
BIN := .venv/bin

.PHONY: up test unit lab browser clients lint style types ansible-style bench setup host box docs site clean

up: setup
	$(BIN)/labctl doctor $(PRESET) --fix
	$(BIN)/labctl up $(PRESET)

setup: host .venv/.installed box

host:
	scripts/install-host

# The environment is made anew when what it shall hold has changed. Compiled here, because many containers tell Python to
# keep nothing that it compiles: every command would compile labctl anew, a tenth of a second each time.
.venv/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m compileall -q -x boxes labctl
	touch $@

box: .venv/.installed
	$(BIN)/labctl box build debian-12

test: unit lab

unit:
	$(BIN)/python -m pytest tests/unit -n auto

lab:
	$(BIN)/python -m pytest tests/lab -v --durations=20

# What the tests of pages need beside `setup`; without it they are skipped.
browser:
	scripts/install-host chromium

# The released clients of Slurm's that are tested: LABCTL_TEST_CLIENTS=build/clients make lab
clients:
	mkdir -p build
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["clients"], sep="\n")' > build/clients.txt
	$(BIN)/python -m pip install --quiet --upgrade --target build/clients --requirement build/clients.txt

# Each of them keeps one CPU busy, so they run side by side: as many as there are CPUs.
lint:
	$(MAKE) --jobs=$(shell nproc) --output-sync=target site style types ansible-style

style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

ansible-style:
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint --offline -q

# What the comparison needs is downloaded the first time; without a network: python -m bench --skip-naive
bench:
	$(BIN)/python -m bench.naive prepare
	$(BIN)/python -m bench

docs:
	$(BIN)/python -m labctl.reference

# Strictly: a link that leads nowhere, a page that is nowhere and a file of someone else's are errors.
site:
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

clean:
	rm -rf .venv build dist site .mypy_cache .ruff_cache .pytest_cache
