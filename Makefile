# Two commands do everything on a fresh machine: `make book` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The stamp's name holds a checksum: change the requirements and the environment is remade.
STAMP := $(VENV)/.installed-$(shell cat requirements.txt pyproject.toml | cksum | cut -d' ' -f1)
CHAPTER ?=
QUICK := _build/quick

# glibc hands large blocks back to the system when they are freed, and training asks for
# them again at once. Kept, they save page faults (a third of a step's time on our machine).
export MALLOC_MMAP_MAX_ := 0
export MALLOC_TRIM_THRESHOLD_ := 100000000000

.DEFAULT_GOAL := help
.PHONY: help install book test publish serve bench colab clean

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(STAMP):
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@# The Colab test builds the package as Colab does, without asking a registry.
	$(BIN)/python -m pip download --quiet --no-deps -d $(VENV)/wheelhouse \
	    $$(grep '^setuptools==' requirements.txt)
	touch $@

install: $(STAMP)  ## make the environment, or remake it when the requirements changed

book: $(STAMP)  ## build the site from the stored outputs
	$(BIN)/jupyter-book build . -W -n --keep-going
	@echo "The book is built. Open _build/html/index.html in a browser, or run: make serve"

test: $(STAMP)  ## run every test, and every chapter at quick scale
	@$(BIN)/python .ci/chromium.py
	rm -rf $(QUICK) && $(BIN)/python -m tests.quick $(QUICK)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests $(QUICK) --nbval-lax \
	    --nbval-cell-timeout=600 -n 2 --dist loadfile

publish: $(STAMP)  ## run the chapters in full and store their outputs (CHAPTER=08_fashion_mnist)
	$(BIN)/python .ci/publish.py $(CHAPTER)

serve: book  ## build, then serve the site on http://localhost:8000
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

bench: $(STAMP)  ## measure the input pipeline and the site build on this machine
	$(BIN)/python .ci/bench.py

colab: $(STAMP)  ## make the edition of the notebooks that Colab opens, in _build/colab
	$(BIN)/python .ci/colab_edition.py _build/colab

clean:  ## remove everything that was built (the environment stays)
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
