"""What a camera says and hears, as the upload protocol writes it: offers, answers, retry times, ranges."""

import json
from collections.abc import Mapping

from firmware_stubs.ranges import Ranges
from firmware_stubs.receipt import Recording

DEFAULT_RETRY_S = 5.0
REST_CAP_S = 3600.0
RESPONSE_CAP = 1024 * 1024
UNKNOWN_LIVE = frozenset({"size", "checksum", "ended_at"})


def offer_payload(recording: Recording, *, live: bool = False, shown: Mapping[str, object] | None = None) -> bytes:
    """The init command's JSON; of a recording that is still being made nobody knows size, checksum and end.

    shown: the receipt that it had, where the gateway lost what that names and asks for the recording again.
    """
    offer = {
        "v": 1,
        "name": f"{recording.name}.mp4",
        "size": recording.size,
        "checksum": recording.sha256,
        "content_type": "video/mp4",
        "started_at": recording.started_at,
        "ended_at": recording.ended_at,
        "user_data": {"trigger": recording.trigger},
    }
    known = {name: value for name, value in offer.items() if not live or name not in UNKNOWN_LIVE}
    if shown is not None:
        known["receipt"] = {name: shown.get(name) for name in ("exhibit", "log_index", "entry", "proof")}
    return json.dumps(known, separators=(",", ":")).encode()


def parse_answer(payload: bytes) -> Mapping[str, object] | None:
    """A response as a JSON object of version 1; None for anything else."""
    try:
        answer = json.loads(payload) if len(payload) <= RESPONSE_CAP else None
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) and answer.get("v") == 1 else None


def rest_s(retry_after: object) -> float:
    """How long "not now" is: what the gateway says, up to an hour; a few seconds where it says nothing usable."""
    usable = isinstance(retry_after, int | float) and 0 <= retry_after <= REST_CAP_S
    return float(str(retry_after)) if usable and not isinstance(retry_after, bool) else DEFAULT_RETRY_S


def command_of(topic: object, recording: str) -> str:
    """Which command an answer names (`init`, `status`, `fin`, an offset), or "" for an unasked report."""
    if not isinstance(topic, str):
        return ""
    marker = f"/file/{recording}/"
    tail = topic.split(marker, 1)[1] if marker in topic else topic.removeprefix("\u2026/")
    return tail.split("/", 1)[0]


def pairs(value: object) -> Ranges:
    """Ranges as JSON writes them; what is no pair of integers is left out."""
    found = value if isinstance(value, list) else []
    good = [pair for pair in found if isinstance(pair, list) and len(pair) == 2 and all(type(n) is int for n in pair)]
    return Ranges.of((start, end) for start, end in good)
