"""Server-sent events as bytes (WHATWG HTML, 9.2), and back. Pure."""

from __future__ import annotations

from typing import NamedTuple

RETRY = b"retry: 2000\n"
"""Never a block of its own: one common client takes such a block for an empty event."""


class Block(NamedTuple):
    """One event as a consumer sees it."""

    id: str
    event: str
    payload: bytes


END = b"\n\n"


def head(epoch: str, seq: int, event: str) -> bytes:
    """What stands before an event's payload."""
    return b"id: %b-%d\nevent: %b\ndata: " % (epoch.encode(), seq, event.encode())


def frame(epoch: str, seq: int, event: str, payload: bytes) -> bytes:
    """One event with its cursor; payload is JSON on one line."""
    return b"id: %b-%d\nevent: %b\ndata: %b\n\n" % (epoch.encode(), seq, event.encode(), payload)


def heartbeat(at: str) -> bytes:
    """A comment that says that the feed is alive, and what time it is there.

    No blank line ends it: one common client takes a block that holds only a comment for an empty event.
    """
    return b": heartbeat %b\n" % at.encode()


def heartbeat_at(comment: bytes) -> str:
    """The time that a heartbeat says."""
    return comment.decode().removeprefix(": heartbeat ").strip()


def again(told: str, event: str, payload: bytes) -> bytes:
    """An event that is no record: it repeats the cursor of the last one, so that whoever keeps each id keeps that."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (told.encode(), event.encode(), payload)


def last_id(chunk: bytes) -> str:
    """The cursor of the last record of a chunk; "" for none."""
    _, found, behind = (b"\n" + chunk).rpartition(b"\nid: ")
    return behind.partition(b"\n")[0].decode() if found else ""


def cursor(text: str | None) -> tuple[str, int] | None:
    """Read `epoch-seq`; None for anything else."""
    epoch, dash, number = (text or "").rpartition("-")
    if not dash or not epoch or len(number) > 19 or not (number.isascii() and number.isdigit()):
        return None
    return epoch, int(number)


def blocks(stream: bytes) -> list[Block]:
    """The complete events of a stream, comments left out."""
    found = []
    for part in stream.split(b"\n\n")[:-1]:
        fields = dict(line.split(b": ", 1) for line in part.split(b"\n") if not line.startswith(b":"))
        if b"data" in fields:
            found.append(Block(fields.get(b"id", b"").decode(), fields.get(b"event", b"").decode(), fields[b"data"]))
    return found
