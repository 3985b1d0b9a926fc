# make verify   the main job: retrain on all subsets, judge the claims, draw the figures, write report.html
# make gallery  the main job, then the pictures, the ledger and the findings that README.md and FINDINGS.md show
# make test     the whole test suite
# make test-fast  what to run while editing, under a minute: few examples, and without the files that need five seconds or more
#                 (SLOW in tests/conftest.py: commands, processes, JAX, scikit-learn, networks, most experiments, reports, the wheel)
# make test-torch  the tests of TorchLearner and those against PyTorch, which skip without it: installs the version that was tried
# make test-machines  the numeric tests with the arithmetic of other processors (half an hour on two cores; tests/machines.py)
# make faults   kills, damaged files, full disks and the like, many times over: what is lost, and what is wrong without a word
#                 (two hours on two cores; tests/faults)
# make lint     ruff and pyright
# make bench    times beside scikit-learn, JAX and numpy (minutes; installs them), and the figure of the cost per subset
# make costs    measures how long every case takes: what the bar of `verify` weighs them by (sims/experiments/shared/seconds.json)
# make peers    runs the attribution libraries on the stored truths, one environment for each group of libraries, judges their
#               scores and writes sims/peers/PEERS.md (10 minutes, and 6 GB of installed libraries; needs python3.12, too)
# Needs python3 (>= 3.11) with venv, and make. Everything is installed into .venv, nothing outside.
PYTHON ?= python3
RESULTS ?= results
JOBS ?= auto
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet --no-compile --constraint constraints.txt

PYTHON312 ?= python3.12
PEERS := sims/peers

.PHONY: peers verify gallery test test-fast test-torch test-machines faults lint bench costs clean

verify: .venv/run.stamp
	$(PY) -m sims verify --out "$(RESULTS)" --json "$(RESULTS)/ledger.json"

test: .venv/test.stamp
	$(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-fast: .venv/test.stamp
	$(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --fast

test-torch: .venv/test.stamp
	$(PIP) torch==2.13.0
	$(PY) -m pytest -n $(JOBS) tests/sims/learners/test_torch_learner.py tests/sims/learners/test_optimizers.py tests/sims/learners/test_jax_learner.py

test-machines: .venv/test.stamp
	$(PY) tests/machines.py

faults: .venv/test.stamp
	$(PY) tests/faults

lint: .venv/test.stamp
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pyright

bench: .venv/bench.stamp
	$(PY) tests/benchmarks --out "$(RESULTS)"
	$(PY) -m figures cost report --from "$(RESULTS)"

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) --editable .
	touch $@

.venv/test.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) --editable ".[test]"
	touch $@ .venv/run.stamp

.venv/bench.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) --editable ".[bench]"
	touch $@ .venv/run.stamp

gallery: verify
	$(PY) -m figures --from "$(RESULTS)" --out figures/gallery
	cp "$(RESULTS)/ledger.json" figures/gallery/ledger.json
	$(PY) -m figures.findings README.md FINDINGS.md

costs: .venv/run.stamp
	$(PY) -m sims.experiments.shared.costs

peers: .venv/run.stamp .peers/torch.stamp .peers/pydvl.stamp .peers/shapiq.stamp
	for name in captum dattri kronfluence traker; do .peers/torch/bin/python $(PEERS)/scripts/from_$$name.py || exit 1; done
	.peers/pydvl/bin/python $(PEERS)/scripts/from_pydvl.py
	.peers/shapiq/bin/python $(PEERS)/scripts/from_shapiq.py
	$(PY) $(PEERS)/scripts/from_statsmodels.py
	$(PY) -m sims.peers ours
	$(PY) -m sims.peers judge
	$(PY) -m sims.peers page
	$(PY) -m figures.peers $(PEERS)/scores/table.json figures/gallery

.peers/shapiq.stamp: PEERS_PYTHON = $(PYTHON312)
.peers/%.stamp: $(PEERS)/requirements/%.txt
	$(or $(PEERS_PYTHON),$(PYTHON)) -m venv .peers/$*
	grep '^torch==' $< | xargs -r .peers/$*/bin/python -m pip --disable-pip-version-check install --quiet
	.peers/$*/bin/python -m pip --disable-pip-version-check install --quiet --no-deps -r $<
	touch $@

clean:
	rm -rf .venv .peers results build dist *.egg-info
