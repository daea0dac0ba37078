"""What the log refuses to write, whoever asks: judged by its one writer, under its lock, on the newest rows. Pure.

So a hold and a destruction asked for at the same moment are decided by their order in the log, and by nothing else.
"""

from __future__ import annotations

from datetime import datetime

from gateway.domain.evidence import Act
from gateway.evidence.rows import Exhibit

KINDS = frozenset({"hold", "dispose_request", "dispose_approve", "dispose_cancel", "key_destroy", "dispose"})
"""Acts that are judged; each group of acts that has one is a batch of its own."""
MAKING = frozenset({"clip", "derive"})


def judged(act: Act) -> bool:
    """Whether the log may refuse it: what decides an exhibit's fate, and what makes another exhibit of it."""
    return act.exhibit is not None and (act.kind in KINDS or (act.kind in MAKING and "derived" in act.facts))


def refusal(act: Act, at: datetime, row: Exhibit | None) -> str | None:
    """Why an act must not be written, given its exhibit as the log has it at this moment; None: it may."""
    if not judged(act):
        return None
    return f"{act.exhibit}: there is no such exhibit" if row is None else _standing(act, at, row)


def _standing(act: Act, at: datetime, row: Exhibit) -> str | None:
    if row.disposed_at is not None:
        return f"{row.id} was disposed of"
    if act.kind == "dispose":
        return _ending(act, row)
    if row.shredded_at is not None:
        return f"the key of {row.id} is destroyed"
    if act.kind == "hold" or act.kind in MAKING:
        return None
    if act.kind == "dispose_request":
        return _asked(act, at, row)
    return _other(act, row) or (_asked(act, at, row) if act.kind == "key_destroy" else None)


def _asked(act: Act, at: datetime, row: Exhibit) -> str | None:
    """What stands against the disposal of an exhibit, at its request and once more as its key is destroyed."""
    if row.sealed_at is None:
        return f"{row.id} is not sealed yet"
    if act.kind == "dispose_request" and row.disposal is not None:
        return f"the disposal of {row.id} was asked for before: {row.disposal}"
    if row.held or row.holds:
        return f"{row.id} is held: {', '.join(row.holds) or 'a hold stands'}"
    if act.facts.get("ground") == "due" and (row.due is None or row.due >= at.date().isoformat()):
        return f"{row.id} is not past its due date: {row.due or 'it has none'}"
    return None


def _other(act: Act, row: Exhibit) -> str | None:
    asked = act.facts.get("disposal")
    return None if row.disposal == asked else f"{row.id} waits for no disposal {asked}"


def _ending(act: Act, row: Exhibit) -> str | None:
    if row.shredded_at is None:
        return f"the key of {row.id} is not destroyed"
    if act.facts.get("details") == "erased" and act.facts.get("erased_to") != row.n:
        return f"{row.id} has an entry of which the detail is not erased"
    return _other(act, row)
