"""What tests need beside the code: where it is missing they fail under CI, and say LEFT OUT elsewhere."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest

SYSTEM = ":/usr/sbin:/sbin"
ROOT = Path(__file__).resolve().parents[1]


def left_out(why: str) -> NoReturn:
    """This test can't be: a failure where CI is set, else a skip that gives the reason."""
    if os.environ.get("CI"):
        pytest.fail(why, pytrace=False)
    pytest.skip(f"LEFT OUT: {why}", allow_module_level=True)


def program(name: str) -> str:
    """Where a program is."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + SYSTEM)
    return found if found is not None else left_out(f"{name} is not installed")


def package(name: str) -> Any:
    """A Python package that not every machine has."""
    try:
        return importlib.import_module(name)
    except ImportError:
        left_out(f"the package {name} is not installed")


def shared(path: str = "vectors") -> Path:
    """A file or folder of the shared references."""
    folder = Path(os.environ.get("LAPEL_SHARED", ROOT.parent / "shared"))
    if not (folder / path).exists():
        left_out(f"{folder / path} is missing (set LAPEL_SHARED)")
    return folder / path
