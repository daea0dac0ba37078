"""A gateway that lost what it had receipted asks for it again: which recordings that are, and whether it may ask."""

from collections.abc import Iterable, Mapping

from firmware_stubs.footage import Footage
from firmware_stubs.proof import InclusionProof, ProofError, VerifierKey
from firmware_stubs.upload import Memory


def successor_key(answer: Mapping[str, object], pinned: VerifierKey) -> VerifierKey | None:
    """The log's key from now on: the pinned key itself, under the origin of a later generation; None for any other."""
    try:
        key = VerifierKey.parse(str(answer.get("vkey")))
    except ProofError:
        return None
    first, _, number = key.name.rpartition("/g")
    return key if key.key == pinned.key and number.isdecimal() and pinned.name.startswith(first) else None


def recalled(answer: Mapping[str, object], held: Iterable[Footage]) -> list[Footage]:
    """Of the recordings that the camera still holds, those whose receipt names an entry that is missing.

    Each is as if it had never been sent, but that its receipt is shown with the offer.
    """
    logs = answer.get("recall")
    spans = [span for log in logs if isinstance(log, dict) for span in _spans(log)] if isinstance(logs, list) else []
    found = []
    for footage in held:
        receipt = footage.memory.receipt
        if receipt is None:
            continue
        proof = InclusionProof.parse(str(receipt["proof"]))
        origin = proof.checkpoint.split("\n", 1)[0]
        if any(origin == name and start <= proof.index < end for name, start, end in spans):
            footage.memory = Memory(shown=receipt)
            found.append(footage)
    return found


def _spans(log: Mapping[str, object]) -> list[tuple[str, int, int]]:
    missing = log.get("missing")
    pairs = [pair for pair in missing if isinstance(pair, list) and len(pair) == 2] if isinstance(missing, list) else []
    return [(str(log.get("origin")), int(start), int(end)) for start, end in pairs]
