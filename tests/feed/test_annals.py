"""What the log says anew when it is written from memory: everything still of use, and no more."""

from __future__ import annotations

import json

from gateway.feed.annals import Annals, Known
from gateway.feed.board import Board
from gateway.feed.emergencies import Emergencies
from gateway.feed.hub import Hub
from gateway.feed.messages import Messages
from gateway.feed.proofs import Proofs
from gateway.feed.reach import Contacts
from gateway.feed.sequence import BLOCK, Sequence
from gateway.feed.settings import FeedSettings
from gateway.feed.urgent_lines import Restored, UrgentRecord, read
from tests.feed.shift import Roster, SetClock


class Desk:
    """Annals over a hub that keeps a single record for those who resume."""

    def __init__(self) -> None:
        settings = FeedSettings(urgent_kept=1)
        self.board = Board(settings)
        self.hub = Hub(settings, self.board)
        self.hub.sequence = Sequence("E", 1, BLOCK, on_disk=True)
        self.annals = Annals(self.hub)
        self.known = Known(self.board, Emergencies(), Messages(10), Proofs(), Contacts(self.board))

    def say(self, event, key, unit, content, *, over=False) -> UrgentRecord:
        """Out, and noted."""
        record = self.hub.publish(event, key, unit, lambda seq: json.dumps({"v": 1, "seq": seq, **content}).encode())
        self.annals.note(record, over=over)
        return record

    def duty(self, unit, code) -> UrgentRecord:
        """A duty record as far as it is told apart."""
        return self.say("duty", f"duty {unit}", unit, {"unit": unit, "code": code})

    def emergency(self, number, *, over=False) -> UrgentRecord:
        """An emergency as far as it is told apart."""
        content = {"id": number, "triggers": [], "unit": None}
        return self.say("emergency", f"emergency {number}", None, content, over=over)

    def keys(self) -> list[str]:
        """Of the records in the image."""
        restored = read(b'{"v":1,"epoch":"E","mark":1000}', self.annals.image())
        assert restored.whole
        return [record.key for record in restored.records]


def test_the_latest_of_each_stays_behind_the_horizon() -> None:
    """Duty, message, proof and open emergency; the earlier ones of the same key go."""
    desk = Desk()
    desk.duty("A.B", 2)
    desk.duty("A.B", 3)
    desk.emergency("EM-1")
    desk.say("message", "message 1", None, {"id": 1, "kind": "text", "unit": None})
    desk.say("proven", "proven 9", None, {"issi": 9, "proven_at": "x", "unit": None})
    desk.duty("C.D", 2)
    assert desk.keys() == ["duty A.B", "emergency EM-1", "message 1", "proven 9", "duty C.D"]


def test_what_was_removed_or_dropped_is_gone() -> None:
    """A unit that left the roster, a message beyond those kept."""
    desk = Desk()
    desk.duty("A.B", 2)
    desk.say("message", "message 1", None, {"id": 1, "kind": "text", "unit": None})
    desk.annals.forget("A.B")
    desk.annals.drop("message 1")
    desk.annals.drop("message 7")
    desk.duty("C.D", 2)
    assert desk.keys() == ["duty C.D"]


def test_the_newest_that_are_over_stay(monkeypatch) -> None:
    """Or a broker that brings one of them again would raise it anew after a restart."""
    monkeypatch.setattr("gateway.feed.annals.CLEARED_KEPT", 2)
    desk = Desk()
    for number in range(4):
        desk.emergency(f"EM-{number}")
        desk.emergency(f"EM-{number}", over=True)
    desk.duty("C.D", 2)
    assert desk.keys() == ["emergency EM-2", "emergency EM-3", "duty C.D"]


def test_what_cannot_be_taken_up_is_counted_and_the_rest_is() -> None:
    """A record whose content is not what its kind has."""
    desk, clock, roster = Desk(), SetClock(), Roster()
    unit = roster.enlist(1)
    desk.board.refresh(roster, clock.now())
    duty = {"v": 1, "seq": 2, "unit": unit, "code": 5, "state": "en_route", "deployable": False}
    duty |= {"since": "2026-11-21T21:00:00Z", "incident": None, "source": "api"}
    records = (
        UrgentRecord(1, "message", "message 1", None, b'{"v":1,"seq":1,"id":1,"kind":"letter"}'),
        UrgentRecord(2, "duty", f"duty {unit}", unit, json.dumps(duty).encode()),
        UrgentRecord(3, "proven", "proven 9", None, b'{"v":1,"seq":3,"issi":"nine","proven_at":"x"}'),
    )
    desk.annals.restore(Restored("E", 1000, 0, records, whole=True), desk.known)
    assert desk.annals.unreadable == 2
    assert desk.board.units[unit].duty.code == 5
    assert desk.known.messages.all() == ()
    assert desk.known.proofs.latest == {}
