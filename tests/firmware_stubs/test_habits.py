"""Habits one by one against the gateway double: what each sends, and that each ends with its receipt."""

import hashlib
import json
from datetime import UTC, datetime

import pytest

from firmware_stubs.fate import Fate
from firmware_stubs.fleet_account import Account, percentile, settled
from firmware_stubs.habits import NAMED, OVERLAP, Habits, named
from firmware_stubs.phrases import offer_payload
from firmware_stubs.proof import VerifierKey
from firmware_stubs.reel import SCENE, Reel
from firmware_stubs.upload import Memory, Phase, Upload
from tests.firmware_stubs.gateway_double import MIB, GatewayDouble
from tests.firmware_stubs.test_upload import CONTENT, Wire, recording


def wire_of(**habits):
    """A wire whose camera has these habits."""
    wire = Wire(GatewayDouble())
    key = VerifierKey.parse(wire.gateway.log.vkey)
    wire.upload = Upload(recording(), wire.memory, key, Habits(**habits))
    return wire


def test_every_name_makes_habits():
    """All of them, each once; a name that is none is named."""
    assert len(named(["all"])) == len(NAMED)
    assert named(["steady"])[0] == Habits()
    with pytest.raises(ValueError, match="sulks"):
        named(["steady", "sulks"])


def test_out_of_order_sends_everything_once():
    """Not in order, no byte twice, sealed."""
    wire = wire_of(out_of_order=True, segment=MIB // 4)
    wire.run()
    assert wire.upload.phase is Phase.RECEIPTED
    starts = [int(leaf) for leaf in (leaf.split("/")[0] for leaf in wire.gateway.commands) if leaf.isdecimal()]
    assert sorted(starts) == list(range(0, len(CONTENT), MIB // 4))
    assert starts != sorted(starts)


def test_overlaps_repeat_what_came_before():
    """Each segment but the first begins before the end of the one before."""
    wire = wire_of(overlap=OVERLAP)
    wire.run()
    assert wire.upload.phase is Phase.RECEIPTED
    starts = [int(leaf.split("/")[0]) for leaf in wire.gateway.commands if leaf.split("/")[0].isdecimal()]
    assert starts[0] == 0
    assert MIB - OVERLAP in starts


def test_an_empty_battery_never_sends_the_rest():
    """Nothing beyond its share, no fin."""
    wire = wire_of(dies_at=0.5)
    wire.run(turns=40)
    assert wire.upload.durable.octets == len(CONTENT) // 2 + 1
    assert not any(leaf.startswith("fin") for leaf in wire.gateway.commands)


def test_a_live_recording_sends_what_there_is():
    """No size in the offer; segments follow the recording; fin names the size."""
    assert "size" not in json.loads(offer_payload(recording(), live=True))
    wire = wire_of(live_pace=MIB)
    wire.gateway.sizes[("cam-0042", recording().name)] = len(CONTENT)
    key = ("cam-0042", recording().name)
    wire.gateway._init = lambda *_: (
        wire.gateway.held.setdefault(key, bytearray(len(CONTENT)))
        and {
            "topic": "…/init",
            "window_bytes": 4 * MIB,
            "durable": wire.gateway.durable.setdefault(key, type(wire.upload.durable)()).listed(),
        }
    )
    wire.run()
    assert wire.upload.phase is Phase.RECEIPTED
    assert wire.now - 100.0 >= len(CONTENT) / MIB - 1


def test_the_receipt_of_a_namesake_is_not_this_recordings():
    """A camera whose numbers restarted knows that an earlier receipt may still come."""
    for renumbers, violations in ((True, 0), (False, 1)):
        wire = wire_of(renumbers=renumbers)
        wire.upload.connected(wire.now)
        wire.answer(receipt={"sha256": "00", "recording": recording().name})
        assert len(wire.upload.violations) == violations


def test_fate_is_the_same_for_the_same_seed():
    """Breaks come once each, damage hits one bit."""
    habits = Habits(breaks=3, corrupts=1.0, dies_at=0.7)
    one, two = Fate(habits, "cam"), Fate(habits, "cam")
    for fate in (one, two):
        fate.begin(1000)
    assert [n for n in range(1000) if one.breaks(n)] == [n for n in range(1000) if two.breaks(n)]
    assert not one.breaks(1000)
    assert (one.dies(699, 1000), one.dies(700, 1000)) == (False, True)
    hurt = one.damaged(bytes(100))
    assert sum(byte.bit_count() for byte in hurt) == 1


def test_a_reel_is_the_same_however_it_is_read():
    """Spans of any size give the bytes of the whole; no two takes are alike."""
    when = datetime(2026, 11, 21, tzinfo=UTC)
    reel = Reel.shot("cam-1", "load-0001", 2 * SCENE + 7, when)
    whole = reel.read((0, reel.recording.size))
    assert hashlib.sha256(whole).hexdigest() == reel.recording.sha256
    for span in ((0, 5), (10, 40), (SCENE - 3, SCENE + 50), (2 * SCENE, 2 * SCENE + 7)):
        assert reel.read(span) == whole[slice(*span)]
    assert Reel.shot("cam-1", "load-0001", 100, when, "/2").recording.sha256 != reel.recording.sha256


def test_the_account_adds_up():
    """Shares add; percentiles are values that were measured."""
    account = Account(recordings=3)
    for seconds in (1.0, 2.0):
        account.hear({"event": "receipt", "size": 10, "upload_s": seconds, "receipt_s": seconds})
    share = {**vars(account), "held": 1, "without_power": 0, "violations": ["x"], "troubles": {}, "held_at": ["c"]}
    total = settled([share, share], 2.0, cameras=2, processes=2)
    assert (total["recordings"], total["sealed"], total["held"], total["octets"]) == (6, 4, 2, 40)
    assert (total["violation_count"], total["upload_s"]) == (2, {"p50": 1.0, "p99": 2.0})
    assert percentile([], 0.5) is None
    assert Memory().exhibit is None
