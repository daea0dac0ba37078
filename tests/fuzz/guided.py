"""One target under atheris (libFuzzer): `python -m tests.fuzz.guided NAME [libFuzzer options] [corpus]`."""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    """Instrument the parsers, then fuzz; ends the process."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["drivers.tetra", "drivers.camera", "drivers.beacon"]):
        targets = importlib.import_module("tests.fuzz.targets")
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
