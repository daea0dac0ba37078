# Two commands matter: `make demo` and `make test`. Everything a fresh machine needs is installed here.
PYTHON ?= python3
BIN := .venv/bin
DURATION ?= 0
export LAPEL_SHARED ?= $(abspath ../shared)

.PHONY: demo test check soak bench fuzz clean system lock

demo: .venv/.done
	@$(BIN)/lapel demo $(if $(filter-out 0,$(DURATION)),--duration $(DURATION)) $(if $(JSON),--json) $(DEMO)

# Most tests run beside one another. Then those of whole processes (`alone`), one of which leaves a core idle: two at
# a time, file by file, the long ones first. Last what holds a duration to a bound (`timed`), by itself.
test: .venv/.done system
ifdef TESTS
	$(BIN)/python -m pytest -m "not soak" $(TESTS)
else
	@$(BIN)/python -m pytest -m "not soak and not alone" -n auto --maxprocesses 4 --dist loadfile; beside=$$?; \
	$(BIN)/python -m pytest -m "alone and not timed and not soak" -n 2 --dist loadfile --no-loadscope-reorder; pairs=$$?; \
	$(BIN)/python -m pytest -m "timed and not soak"; by_itself=$$?; exit $$((beside | pairs | by_itself))
endif

check: .venv/.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest tests/test_architecture.py

soak: .venv/.done system
	$(BIN)/python -m tests.soak

bench: .venv/.done
	$(BIN)/python -m tests.bench

FUZZ_SECONDS ?= 600

fuzz: .venv/.done
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)
	LAPEL_EXAMPLES=20000 $(BIN)/python -m pytest --timeout=3600 tests/properties

clean:
	rm -rf .venv var .mypy_cache .ruff_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The lock is made anew on the oldest supported Python; pip-tools is needed for that alone.
lock:
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet pip-tools
	.venv-lock/bin/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --strip-extras --allow-unsafe --extra demo --extra dev -o requirements.lock pyproject.toml
	rm -rf .venv-lock

system:
	@.ci/system-packages

.venv/.done: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
