"""The entries of a whole disposal, as the log takes them: asked for, approved, key destroyed, ended."""

from __future__ import annotations

from typing import Any

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence.custody import CustodyLog

KINDS = ("dispose_request", "dispose_approve", "key_destroy", "dispose")
FACTS: dict[str, dict[str, Any]] = {
    "dispose_request": {"ground": "order"},
    "dispose_approve": {"not_before": "2020-01-01T00:00:00Z"},
}


def walk(log: CustodyLog, exhibit: str, upto: str = "dispose", since: str = "dispose_request", **ending: Any) -> None:
    """Write the entries of this exhibit's disposal from one kind to another; ending: facts of the last one.

    Each is a batch of its own, as the law of disposals is judged on what is in the log.
    """
    for kind in KINDS[KINDS.index(since) : KINDS.index(upto) + 1]:
        facts = {"disposal": "D-1", **FACTS.get(kind, {}), **(ending if kind == "dispose" else {})}
        log.record_now(Act(kind, f"P-{kind}", ExhibitId(exhibit), facts, {"reason": "order 7"}))
