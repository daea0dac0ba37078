"""Somebody else's tlog-witness (aics-witness) as a judge, where a Python that has it is named by LAPEL_AICS_PYTHON.

It is not in the lock: its releases ask for a newer Python than the oldest that Lapel supports. Any virtual
environment will do: python3 -m venv V && V/bin/pip install --ignore-requires-python aics-witness
"""

from __future__ import annotations

import os

import pytest


def python() -> str:
    """The Python that has aics-witness; the test says that it was left out where there is none."""
    found = os.environ.get("LAPEL_AICS_PYTHON")
    if not found:
        pytest.skip("LEFT OUT: LAPEL_AICS_PYTHON names no Python with aics-witness")
    return found
