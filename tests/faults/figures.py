"""What a fault test did, for the record of `make soak`: one JSON line to the file that LAPEL_FIGURES names."""

from __future__ import annotations

import json
import os
from pathlib import Path


def noted(what: str, **figures: float | str) -> None:
    """Note figures of a test that has run; nowhere unless somebody asked for them."""
    if path := os.environ.get("LAPEL_FIGURES"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what, **figures}) + "\n")
