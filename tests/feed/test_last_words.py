"""What is written down of a radio's reach."""

from __future__ import annotations

import msgspec
import pytest

from gateway.domain.events import Origin, ReachReport
from gateway.domain.time import Stamp
from gateway.feed.annals import Annals
from gateway.feed.board import Board
from gateway.feed.hub import Hub
from gateway.feed.last_words import LastWords
from gateway.feed.reach import RADIOS_KEPT, Contacts, ReachRecord
from gateway.feed.sequence import BLOCK, Sequence
from gateway.feed.settings import FeedSettings
from gateway.feed.urgent_lines import UrgentRecord, read
from tests.feed.shift import Roster, SetClock, who

ISSI = 2340001


class Desk:
    """Radios, and the records of them."""

    def __init__(self) -> None:
        settings, self.clock, roster = FeedSettings(), SetClock(), Roster()
        self.unit, self.board = roster.enlist(1), Board(settings)
        self.board.refresh(roster, self.clock.now())
        self.hub = Hub(settings, self.board)
        self.hub.sequence = Sequence("E", 1, BLOCK, on_disk=True)
        self.annals, self.written = Annals(self.hub), []
        self.contacts = Contacts(self.board, LastWords(self.hub, self.annals, self).note)

    def add(self, record: UrgentRecord) -> None:
        """To disk."""
        self.written.append(record)

    def say(self, reach, issi=ISSI, unit=None) -> None:
        """A radio's own word."""
        self.contacts.said(ReachReport(Origin("radio", None, issi), Stamp(self.clock.on(1)), reach), who(unit))

    def image(self) -> list[UrgentRecord]:
        """What a log written anew says."""
        restored = read(b'{"v":1,"epoch":"E","mark":1000000}', self.annals.image())
        assert restored.whole
        return list(restored.records)


@pytest.fixture
def desk() -> Desk:
    """Nobody heard yet."""
    return Desk()


def test_each_change_is_a_record(desk) -> None:
    """Not a repetition, not that a radio works; that it works again is one."""
    for reach in ("ok", "off", "off", "dmo", "ok", "ok"):
        desk.say(reach, unit=desk.unit)
    said = [msgspec.json.decode(record.payload, type=ReachRecord) for record in desk.written]
    assert [(one.issi, one.unit, one.reach) for one in said] == [
        (ISSI, desk.unit, reach) for reach in ("off", "dmo", "ok")
    ]
    assert [one.seq for one in said] == [1, 2, 3]
    assert desk.image() == []


def test_the_last_word_is_in_the_image_and_its_reader_knows_it(desk) -> None:
    """Also of a radio that is nobody's, also between records that are sent."""
    desk.say("dmo")
    desk.hub.publish("duty", "duty A", "A", lambda seq: msgspec.json.encode({"seq": seq, "unit": "A", "code": 2}))
    desk.say("off")
    assert [(one.event, one.key) for one in desk.image()] == [("duty", "duty A"), ("reach", f"reach {ISSI}")]
    other = Desk()
    other.contacts.restore(msgspec.json.decode(desk.image()[-1].payload, type=ReachRecord))
    assert other.contacts.radios()[ISSI].reach == "off"
    assert other.written == []


def test_another_unit_of_a_radio_that_is_off_is_written(desk) -> None:
    """It is that unit which can't be reached now."""
    desk.say("off")
    desk.say("off", unit=desk.unit)
    assert [record.unit for record in desk.written] == [None, desk.unit]


def test_a_radio_forgotten_is_gone_from_the_image(desk, monkeypatch) -> None:
    """As many as are kept."""
    assert RADIOS_KEPT > 2
    monkeypatch.setattr("gateway.feed.reach.RADIOS_KEPT", 2)
    for issi in (1, 2, 3):
        desk.say("off", issi)
    assert [one.key for one in desk.image()] == ["reach 2", "reach 3"]
