"""What radios report beside positions, through the whole feed: reach, messages, tests, emergencies unanswered."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import structlog

from gateway.domain.events import EmergencyReport, Origin, ReachReport
from gateway.domain.time import Stamp
from gateway.feed.filters import Filters
from tests.feed.shift import at, press, status, text, who
from tests.feed.test_feed import Scene, events

RADIO = Origin("radio", None, 2340001)


@pytest.fixture
async def scene(tmp_path):
    """Opened, with a test status."""
    made = Scene(test_status=0x80F0, urgent_kept=4)
    await made.begin(tmp_path)
    yield made
    await made.feed.close()


def resolved(scene):
    """Officer 1 with their radio."""
    return who(scene.one, "P-1", "trm-1", 2340001)


def say(scene, reach) -> None:
    """Officer 1's radio says how it is."""
    scene.feed.reach_report(ReachReport(RADIO, Stamp(scene.clock.on(1)), reach), resolved(scene))


async def again(scene, tmp_path) -> None:
    """As after a restart."""
    await scene.feed.close()
    scene.files.refuse = False
    await scene.begin(tmp_path)


def test_reach_goes_out_at_once(scene) -> None:
    """With no tick between; a status from the radio makes it well again, as does a position."""
    consumer = scene.feed.subscribe()
    consumer.take()
    assert scene.feed.reach(scene.one) == "unknown"
    for reach in ("no_service", "dmo", "off", "low_battery"):
        say(scene, reach)
        ((event, content),) = events(consumer.take())
        assert (event, content["properties"]["reach"]) == ("position", reach)
        assert scene.properties()["reach"] == scene.feed.reach(scene.one) == reach
    scene.duty(3)
    assert scene.properties()["reach"] == "ok"
    say(scene, "off")
    report = at(scene.clock.on(1), source="lip")
    scene.feed.position(report, resolved(scene), quality=())
    assert scene.feed.reach(scene.one) == "off", "a beacon is no radio"
    scene.feed.text(text(scene.clock.on(1), "here"), resolved(scene))
    assert scene.feed.reach(scene.one) == "ok"
    say(scene, "off")
    scene.press()
    assert scene.feed.reach(scene.one) == "ok"
    assert scene.feed.stats()["reach_reports"] == 6


def test_a_unit_off_duty_is_not_shown_for_its_reach(scene) -> None:
    """Off duty is private, also to its radio's last word."""
    scene.duty(11)
    consumer = scene.feed.subscribe()
    consumer.take()
    say(scene, "off")
    scene.feed.tick(scene.clock.now())
    assert events(consumer.take()) == []
    assert scene.feed.reach(scene.one) == "off"
    (mine,) = (one for one in scene.feed.handsets() if one.issi == 2340001)
    assert (mine.reach, mine.heard_at) == ("unknown", None)
    scene.duty(2)
    (mine,) = (one for one in scene.feed.handsets() if one.issi == 2340001)
    assert (mine.reach, mine.heard_at) == ("ok", "2026-11-21T21:00:03Z")


def test_duty_by_the_control_room_comes_with_its_feature(scene) -> None:
    """Record and feature in one flush; the latest act wins even over a radio whose clock is ahead."""
    ahead = status(scene.clock.now(), 5)
    stamp = Stamp(scene.clock.now(), scene.clock.utc + timedelta(seconds=300), "device")
    scene.feed.status(type(ahead)(ahead.origin, stamp, ahead.value, 5), resolved(scene))
    consumer = scene.feed.subscribe()
    consumer.take()
    assert scene.feed.set_duty(scene.one, 2, incident="CC-1")
    (event, content), (shown, feature) = events(consumer.take())
    assert (event, content["code"], content["source"]) == ("duty", 2, "api")
    assert (shown, feature["properties"]["duty"]["incident"]) == ("position", "CC-1")
    assert scene.feed.duty(scene.one).code == 2
    assert scene.feed.duty("PCC.GHOST") is None


def test_messages_are_urgent_and_so_is_who_dealt_with_them(scene) -> None:
    """Announced when they come and when somebody has dealt with them; once."""
    consumer = scene.feed.subscribe()
    consumer.take()
    scene.duty(14)
    scene.feed.text(text(scene.clock.on(1), "van blocked"), resolved(scene))
    (first, callback), (second, words) = [one for one in events(consumer.take()) if one[0] == "message"]
    assert (first, callback["v"], callback["meaning"], callback["dealt_with_by"]) == (
        "message",
        1,
        "urgent_call_back",
        None,
    )
    assert (second, words["text"], words["unit"]) == ("message", "van blocked", scene.one)
    assert scene.feed.deal(callback["id"], "Insp 3").dealt_with_by == "Insp 3"
    ((event, dealt),) = events(consumer.take())
    assert (event, dealt["id"], dealt["dealt_with_by"]) == ("message", callback["id"], "Insp 3")
    assert dealt["seq"] > words["seq"]
    scene.feed.deal(callback["id"], "Insp 4")
    assert consumer.take() is None
    assert scene.feed.deal(99, "Insp 3") is None


def test_a_message_is_for_those_who_see_its_unit(scene) -> None:
    """That of a radio on nobody's roster is everybody's, or it would be nobody's."""
    other = scene.feed.subscribe(filters=Filters(agency=("CAMBS",)))
    other.take()
    scene.duty(14)
    assert other.take() is None
    scene.feed.text(text(scene.clock.on(1), "who am I"), who(None))
    assert [event for event, _ in events(other.take())] == ["message"]


async def test_messages_survive_a_restart(scene, tmp_path) -> None:
    """Also behind a long run of urgent records, also where nobody dealt with them yet."""
    scene.duty(13)
    scene.feed.text(text(scene.clock.on(1), "first"), resolved(scene))
    scene.feed.deal(1, "Insp 3")
    for number in range(6):
        scene.duty(2 + number % 2)
    before = scene.feed.messages()
    for _ in range(2):
        await again(scene, tmp_path)
        assert scene.feed.messages() == before
    scene.feed.text(text(scene.clock.on(1), "second"), resolved(scene))
    assert [one.id for one in scene.feed.messages()] == [1, 2, 3]


async def test_a_handset_proven(scene, tmp_path) -> None:
    """The test status is neither duty nor message; when and how it came is kept over restarts."""
    consumer = scene.feed.subscribe()
    consumer.take()
    test = status(scene.clock.on(1), None)
    scene.feed.status(type(test)(test.origin, test.stamp, 0x80F0, 2), resolved(scene))
    names = [(event, content.get("issi")) for event, content in events(consumer.take())]
    assert names == [("proven", 2340001)]
    assert scene.feed.messages() == ()
    assert scene.properties()["duty"]["state"] == "unknown"
    await again(scene, tmp_path)
    handsets = {one.issi: one for one in scene.feed.handsets()}
    assert (handsets[2340001].proven_at, handsets[2340001].proven_via) == ("2026-11-21T21:00:01Z", "radio")
    assert handsets[2340002].proven_at is None


def test_unanswered(scene) -> None:
    """Sent again after 5 s; loud, and counted, after 15 s; quiet once a named person has it."""
    consumer = scene.feed.subscribe()
    consumer.take()
    record = scene.press()
    scene.feed.tick(scene.clock.now())
    consumer.take()
    scene.feed.tick(scene.clock.on(5.1))
    again_out = [content for event, content in events(consumer.take()) if event == "emergency"]
    assert [(one["id"], one["presses"]) for one in again_out] == [(record.id, 1)]
    assert again_out[0]["seq"] > record.seq
    with structlog.testing.capture_logs() as logs:
        scene.feed.tick(scene.clock.on(10))
    assert [(one["event"], one["log_level"]) for one in logs] == [("emergency_unacknowledged", "critical")]
    assert scene.feed.stats()["emergencies_unacknowledged"] == 1
    scene.feed.acknowledge(record.id, "Insp 3")
    with structlog.testing.capture_logs() as logs:
        scene.feed.tick(scene.clock.on(60))
    assert logs == []
    assert scene.feed.stats()["emergencies_unacknowledged"] == 0


ORDERS = [
    ("tetra_status",),
    ("lip_reason",),
    ("tetra_call",),
    ("tetra_status", "lip_reason", "tetra_call"),
    ("tetra_status", "tetra_call", "lip_reason"),
    ("lip_reason", "tetra_status", "tetra_call"),
    ("lip_reason", "tetra_call", "tetra_status"),
    ("tetra_call", "tetra_status", "lip_reason"),
    ("tetra_call", "lip_reason", "tetra_status"),
]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
@pytest.mark.parametrize("trouble", ["none", "disk", "roster", "nobody"])
async def test_every_order_is_one_emergency(scene, tmp_path, order, trouble) -> None:
    """With the disk refusing, the roster out of order, or nobody known to hold the radio; then over, then anew."""
    scene.files.refuse, scene.roster.broken = trouble == "disk", trouble == "roster"
    nobody = who(None, issi=2340001) if trouble in ("roster", "nobody") else None
    consumer = scene.feed.subscribe()
    consumer.take()
    for trigger in order:
        record = scene.press(nobody, trigger=trigger)
        assert record.id in {content["id"] for event, content in events(consumer.take()) if event == "emergency"}
    assert (record.triggers, record.presses) == (order, len(order))
    assert [one.trigger for one in record.pressed] == ([] if len(order) == 1 else list(order))
    scene.feed.acknowledge(record.id, "Insp 3")
    scene.files.refuse = False
    await again(scene, tmp_path)
    (restored,) = scene.feed.emergencies()
    assert (restored.acknowledged_by, restored.triggers, restored.presses) == ("Insp 3", order, len(order))
    assert restored.pressed == record.pressed
    over = scene.feed.clear(record.id, "Insp 4", "assisted")
    await again(scene, tmp_path)
    assert [(one.state, one.cleared_by) for one in scene.feed.emergencies()] == [("cleared", "Insp 4")]
    assert scene.press(nobody, trigger=order[0]).id != over.id


async def test_what_a_broker_brings_again_raises_nothing(scene, tmp_path) -> None:
    """A retained panic that is over: the same after a restart and a long shift; another press is another."""
    stamp = Stamp(scene.clock.on(1), scene.clock.utc, "device")
    panic = EmergencyReport(Origin("cameras", "cam-1"), stamp, "camera_panic")
    holder = who(scene.one, "P-1", "cam-1")
    scene.feed.emergency(panic, holder, journalled=True)
    (record,) = scene.feed.emergencies()
    scene.feed.clear(record.id, "Insp 3", "false_activation")
    for number in range(6):
        scene.duty(2 + number % 2)
    for _ in range(3):
        retained = EmergencyReport(panic.origin, Stamp(scene.clock.on(60), stamp.device_time, "device"), panic.trigger)
        scene.feed.emergency(retained, who(None, None, "cam-1"), journalled=True)
        assert [one.state for one in scene.feed.emergencies()] == ["cleared"]
        await again(scene, tmp_path)
    scene.feed.emergency(
        EmergencyReport(panic.origin, Stamp(scene.clock.on(1), scene.clock.utc, "device"), "camera_panic"),
        holder,
        journalled=True,
    )
    assert [one.state for one in scene.feed.emergencies()] == ["cleared", "active"]


def test_a_radio_at_the_same_fix_is_another_press(scene) -> None:
    """Its time is its last fix's: indoors that stands still, and the second cry must not be taken for an echo."""
    stamp = Stamp(scene.clock.on(1), scene.clock.utc, "gnss")
    first = EmergencyReport(RADIO, stamp, "lip_reason")
    scene.feed.emergency(first, resolved(scene), journalled=True)
    scene.feed.clear(scene.feed.emergencies()[0].id, "Insp 3", "assisted")
    second = EmergencyReport(RADIO, Stamp(scene.clock.on(60), stamp.device_time, "gnss"), "lip_reason")
    scene.feed.emergency(second, resolved(scene), journalled=True)
    assert [one.state for one in scene.feed.emergencies()] == ["cleared", "active"]


def test_the_journal_takes_what_it_had_refused(scene) -> None:
    """Said once, of those that were said to be unjournalled, over or not."""
    first, second = scene.press(journalled=False), scene.press(who(None), issi=9)
    scene.feed.clear(first.id, "Insp 3", "test")
    consumer = scene.feed.subscribe()
    consumer.take()
    scene.feed.journal_recovered()
    told = [content for event, content in events(consumer.take()) if event == "emergency"]
    assert [(one["id"], one["journalled"], one["state"]) for one in told] == [(first.id, True, "cleared")]
    assert (first.journalled, second.journalled) == (False, True)
    scene.feed.journal_recovered()
    assert consumer.take() is None


def test_unknown_issi(scene) -> None:
    """Holder unknown, last held by: said, and nothing guessed."""
    found = scene.press(type(who(None))(issi=99, last_held_by="P-2"), issi=99)
    assert (found.issi, found.holder, found.last_held_by, found.person) == (99, "unknown", "P-2", None)
    assert json.loads(scene.feed.snapshot())["features"]
    assert press(scene.clock.now()).trigger == "tetra_status"


async def test_reach_is_kept_over_a_restart(scene, tmp_path) -> None:
    """What a radio said last still counts, until it is heard again; nothing of it is sent to those who resume."""
    consumer = scene.feed.subscribe()
    consumer.take()
    say(scene, "off")
    await again(scene, tmp_path)
    assert scene.feed.reach(scene.one) == "off"
    assert scene.properties()["reach"] == "off"
    scene.duty(3)
    assert scene.feed.reach(scene.one) == "ok"
    for _ in range(2):
        await again(scene, tmp_path)
        assert scene.feed.reach(scene.one) in {"ok", "unknown"}, "the log was written anew between"


async def test_reach_records_are_no_ones_news(scene, tmp_path) -> None:
    """A cursor before the restart is given urgent records, and not these."""
    consumer = scene.feed.subscribe()
    cursor = f"{scene.feed.epoch}-{scene.feed.seq}"
    consumer.take()
    scene.duty(11)
    say(scene, "off")
    assert b"heard_at" not in consumer.take()
    await again(scene, tmp_path)
    assert scene.feed.reach(scene.one) == "off"
    assert b"heard_at" not in scene.feed.subscribe(cursor).take()
