"""What lies in staging and imports: exhibits on their way, and the keys that each of their files needs."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.evidence.verify.files import walk
from gateway.evidence.verify.report import Report

_RUN = re.compile(r"run-(0|[1-9][0-9]{0,8})\.rec")


def uploads(evidence: Path, report: Report) -> dict[str, set[str]]:
    """Exhibits on their way, each with the names of the keys that its files are encrypted under."""
    found: dict[str, set[str]] = {}
    with report.collecting():
        for name in walk(evidence / "staging", "staging"):
            exhibit, _, file = name.partition("/")
            keys = found.setdefault(exhibit, set())
            run = _RUN.fullmatch(file)
            if run is not None:
                keys |= {f"identity/{exhibit}", f"run/{exhibit}/{run[1]}"}
    with report.collecting():
        for name in walk(evidence / "imports", "imports"):
            if name.endswith(".json"):
                found.setdefault(name.removesuffix(".json"), set())
    return found
