"""What officers say besides their duty: told to everybody and to disk, and forgotten there when it is here."""

from __future__ import annotations

import json

import msgspec

from gateway.domain.events import Origin
from gateway.feed.letters import Letters
from tests.feed.shift import SetClock, status, text, who


class Annals:
    """Notes what is dropped."""

    def __init__(self) -> None:
        self.dropped: list[str] = []

    def drop(self, key: str) -> None:
        """As asked."""
        self.dropped.append(key)


class Told:
    """Notes what is told."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str, str | None, dict]] = []

    def __call__(self, event, key, unit, make) -> None:
        self.all.append((event, key, unit, json.loads(make(len(self.all) + 1))))


def made(kept: int = 2) -> tuple[Letters, Annals, Told]:
    """With room for so many messages."""
    annals, told = Annals(), Told()
    return Letters(kept, annals, told), annals, told  # type: ignore[arg-type]


def test_a_message_is_told_whole() -> None:
    """v, seq and everything a control room asks."""
    letters, _, told = made()
    letters.message(status(SetClock().now(), 16), who("PCC.A", "P-1", "trm-1"))
    ((event, key, unit, content),) = told.all
    assert (event, key, unit) == ("message", "message 1", "PCC.A")
    assert content == {
        "v": 1,
        "seq": 1,
        "id": 1,
        "at": "2026-11-21T21:00:00Z",
        "kind": "status",
        "code": 16,
        "value": 0x8010,
        "meaning": "repeat",
        "text": None,
        "unit": "PCC.A",
        "person": "P-1",
        "issi": 2340001,
        "device": "trm-1",
        "dealt_with_by": None,
        "dealt_at": None,
    }


def test_what_is_forgotten_here_is_forgotten_on_disk() -> None:
    """The third of a box of two takes the first along."""
    letters, annals, _ = made()
    for number in range(3):
        letters.message(text(SetClock().now(), str(number)), who(None))
    assert "message 1" in annals.dropped
    assert not {"message 2", "message 3"} & set(annals.dropped)
    assert [one.id for one in letters.messages.all()] == [2, 3]


def test_dealt_with_is_told_once() -> None:
    """The second name changes nothing and is told to nobody."""
    letters, _, told = made()
    letters.message(text(SetClock().now(), "hello"), who(None))
    for name in ("Sgt 7", "Sgt 8"):
        found = letters.deal(1, name, 0.0)
        assert found is not None
        assert found.dealt_with_by == "Sgt 7"
    assert letters.deal(2, "Sgt 7", 0.0) is None
    assert [content["dealt_with_by"] for _, _, _, content in told.all] == [None, "Sgt 7"]


def test_a_test_status_without_a_sender_is_told_to_nobody() -> None:
    """There is no handset that it could prove."""
    letters, _, told = made()
    report = msgspec.structs.replace(status(SetClock().now(), 15), origin=Origin("radio"))
    letters.prove(report, who(None))
    assert told.all == []
    letters.prove(status(SetClock().now(), 15), who("PCC.A"))
    ((event, key, unit, content),) = told.all
    assert (event, key, unit, content["proven_at"]) == ("proven", "proven 2340001", "PCC.A", "2026-11-21T21:00:00Z")
