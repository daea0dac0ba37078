"""The camera's upload against a gateway double, without a network: losses, restarts, refusals, breaches."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_stubs.phrases import command_of, pairs, parse_answer
from firmware_stubs.proof import VerifierKey
from firmware_stubs.ranges import Ranges
from firmware_stubs.receipt import Recording
from firmware_stubs.upload import Memory, Phase, Upload
from tests.firmware_stubs.gateway_double import MIB, GatewayDouble

NAME = "20261121T210503Z-0017"
CONTENT = bytes(range(256)) * 4096 * 5 + b"tail"


def recording(content=CONTENT):
    digest = hashlib.sha256(content).hexdigest()
    return Recording("cam-0042", NAME, len(content), digest, "2026-11-21T21:05:03Z", "2026-11-21T21:06:40Z")


class Wire:
    """Carries commands and answers between an upload and the double, on a clock of its own."""

    def __init__(self, gateway, memory=None, content=CONTENT):
        self.gateway, self.content = gateway, content
        self.memory = memory or Memory()
        self.upload = Upload(recording(content), self.memory, VerifierKey.parse(gateway.log.vkey))
        self.now = 100.0
        self.most_flying = 0
        self.lose_answers = 0

    def topic(self, leaf):
        return f"lapel/v1/camera/cam-0042/file/{NAME}/{leaf}"

    def burst(self):
        """Everything that the camera sends before it must hear something."""
        sent = []
        while (command := self.upload.take(self.now)) is not None:
            sent.append(command)
        self.most_flying = max(self.most_flying, sum(c.span[1] - c.span[0] for c in sent if c.span))
        return sent

    def deliver(self, commands):
        answers = []
        for command in commands:
            payload = self.content[slice(*command.span)] if command.span else command.payload
            answers += self.gateway.receive(self.topic(command.leaf), payload)
        for _, answer in answers:
            if self.lose_answers:
                self.lose_answers -= 1
                continue
            self.upload.receive(answer, self.now)

    def run(self, turns=400):
        self.upload.connected(self.now)
        for _ in range(turns):
            self.deliver(self.burst())
            if self.upload.over:
                return
            self.now += 0.25
            self.upload.tick(self.now)

    def answer(self, **fields):
        self.upload.receive(json.dumps({"v": 1, "recording": NAME, "reason_code": 0, **fields}).encode(), self.now)


def test_a_whole_upload():
    """Init, segments, fin behind them, a verified receipt."""
    gateway = GatewayDouble()
    wire = Wire(gateway)
    wire.run()
    assert wire.upload.phase is Phase.RECEIPTED
    assert wire.upload.violations == []
    leaves = [leaf.split("/")[0] for leaf in gateway.commands]
    assert leaves == ["init", "0", str(MIB), str(2 * MIB), str(3 * MIB), str(4 * MIB), str(5 * MIB), "fin"]
    assert wire.memory.ever == Ranges.of([(0, len(CONTENT))])


@pytest.mark.parametrize("window", [MIB // 4, MIB, 3 * MIB, 64 * MIB])
def test_the_window_is_kept(window):
    """Never more in flight than the window, however small."""
    wire = Wire(GatewayDouble(window))
    wire.run()
    assert wire.upload.phase is Phase.RECEIPTED
    assert wire.most_flying <= window


def test_missing_ranges_are_sent_again_and_nothing_else():
    """0x10 after lost segments: exactly what was lost."""
    gateway = GatewayDouble(window=64 * MIB)
    wire = Wire(gateway)
    wire.upload.connected(wire.now)
    wire.deliver(wire.burst())
    gateway.drop = 2
    gateway.commands.clear()
    wire.run()
    assert wire.upload.phase is Phase.RECEIPTED
    segments = [leaf for leaf in gateway.commands if leaf.isdecimal()]
    assert segments == [*(str(n * MIB) for n in range(6)), "0", str(MIB)] or segments == ["0", str(MIB)]


def test_not_now_is_respected():
    """0x97: nothing is sent for retry_after_s, then the upload goes on."""
    gateway = GatewayDouble()
    gateway.not_now = 3
    wire = Wire(gateway)
    wire.upload.connected(wire.now)
    wire.deliver(wire.burst())
    wire.deliver(wire.burst())
    assert wire.upload.phase is Phase.RESTING
    wire.now += 0.2
    wire.upload.tick(wire.now)
    assert wire.burst() == []
    wire.run()
    assert wire.upload.phase is Phase.RECEIPTED
    assert wire.upload.troubles["not_now"] == 3


def test_silence_makes_the_camera_ask():
    """A gateway that restarted hears a status query, not the whole file again."""
    gateway = GatewayDouble()
    wire = Wire(gateway)
    wire.lose_answers = 3
    wire.run()
    assert wire.upload.phase is Phase.RECEIPTED
    assert wire.upload.violations == []


def test_a_bad_segment_goes_again():
    """0x80 names the segment."""
    gateway = GatewayDouble()
    wire = Wire(gateway)
    wire.upload.connected(wire.now)
    wire.deliver(wire.burst())
    sent = wire.burst()
    wire.answer(topic=wire.topic(f"{sent[0].leaf}/abcd"), reason_code=0x80, reason_description="checksum_mismatch")
    assert [command.leaf for command in wire.burst()] == [sent[0].leaf]


def test_a_malformed_command_ends_it_and_the_copy_is_kept():
    """0x83: the camera gives up this upload, says so, and holds its footage."""
    wire = Wire(GatewayDouble())
    wire.upload.connected(wire.now)
    wire.burst()
    wire.answer(topic="\u2026/init", reason_code=0x83, reason_description="invalid_filemeta")
    assert wire.upload.phase is Phase.REFUSED
    assert wire.memory.receipt is None
    assert wire.upload.violations


def test_a_restarted_camera_goes_on_where_durable_ends():
    """A new process with the old memory sends only what is not durable."""
    gateway = GatewayDouble(window=2 * MIB)
    first = Wire(gateway)
    first.upload.connected(first.now)
    first.deliver(first.burst())
    first.deliver(first.burst())
    gateway.commands.clear()
    second = Wire(gateway, Memory(first.memory.ever))
    second.run()
    assert second.upload.phase is Phase.RECEIPTED
    assert "0" not in gateway.commands
    assert second.upload.violations == []


def test_durable_that_shrinks_is_a_breach():
    """A gateway that forgot what it called durable is reported, and gets the bytes again."""
    gateway = GatewayDouble(window=2 * MIB)
    wire = Wire(gateway)
    wire.upload.connected(wire.now)
    wire.deliver(wire.burst())
    wire.deliver(wire.burst())
    gateway.durable = {key: Ranges() for key in gateway.durable}
    wire.upload.disconnected()
    wire.run()
    assert wire.upload.phase is Phase.RECEIPTED
    assert wire.upload.violations == [f"{NAME}:durable_shrank"]


def test_an_old_response_delivered_twice_is_no_breach():
    """QoS 1 may repeat an older report; the camera asks before it accuses."""
    wire = Wire(GatewayDouble(window=2 * MIB))
    wire.upload.connected(wire.now)
    wire.deliver(wire.burst())
    wire.deliver(wire.burst())
    wire.answer(durable=[[0, MIB]])
    wire.run()
    assert wire.upload.phase is Phase.RECEIPTED
    assert wire.upload.violations == []


def test_a_false_receipt_is_not_believed():
    """Another recording's receipt leaves the copy undeletable."""
    gateway = GatewayDouble()
    wire = Wire(gateway)
    wire.upload.connected(wire.now)
    wire.answer(topic="\u2026/fin/1", receipt=gateway.log.receipt(NAME, len(CONTENT), "00" * 32))
    assert wire.upload.phase is Phase.RESTING
    assert wire.memory.receipt is None
    assert "receipt_invalid" in wire.upload.violations[0]


def test_the_same_recording_offered_again_is_the_same_exhibit():
    """The second receipt names the first exhibit, else it is a breach."""
    gateway = GatewayDouble()
    first = Wire(gateway)
    first.run()
    again = Wire(gateway, first.memory)
    again.run()
    assert again.upload.violations == []
    other = GatewayDouble()
    other.receipts = {("cam-0042", "old"): {}}
    changed = Wire(other, first.memory)
    changed.run()
    assert changed.upload.violations[-1] == f"{NAME}:exhibit_changed:X-0001:X-0002"


def test_abandoning_says_so():
    """An abort is sent, and nothing after it."""
    gateway = GatewayDouble(window=2 * MIB)
    wire = Wire(gateway)
    wire.upload.connected(wire.now)
    wire.deliver(wire.burst())
    wire.upload.abandon()
    wire.deliver(wire.burst())
    assert gateway.commands[-1] == "abort"
    assert wire.upload.over
    assert wire.burst() == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["drop", "not_now", "lose", "reconnect", "none"]), max_size=12),
    st.sampled_from([MIB // 2, 2 * MIB, 8 * MIB]),
)
def test_whatever_goes_wrong_the_receipt_comes(faults, window):
    """Any order of losses, refusals and reconnects ends in a receipt and no breach."""
    content = CONTENT[: 3 * MIB + 17]
    wire = Wire(GatewayDouble(window), content=content)
    wire.upload.connected(wire.now)
    for fault in faults:
        wire.gateway.drop = 1 if fault == "drop" else 0
        wire.gateway.not_now = 1 if fault == "not_now" else 0
        wire.lose_answers = 2 if fault == "lose" else 0
        if fault == "reconnect":
            wire.upload.disconnected()
            wire.upload.connected(wire.now)
        wire.deliver(wire.burst())
        wire.now += 1
        wire.upload.tick(wire.now)
    wire.gateway.drop = wire.gateway.not_now = wire.lose_answers = 0
    if not wire.upload.over:
        wire.upload.disconnected()
        wire.run()
    assert wire.upload.phase is Phase.RECEIPTED
    assert wire.upload.violations == []


@given(st.binary(max_size=200))
def test_any_response_is_survived(payload):
    """Bytes that are no response never raise."""
    upload = Upload(recording(), Memory(), VerifierKey.parse(GatewayDouble().log.vkey))
    upload.connected(1.0)
    upload.receive(payload, 1.0)


@given(
    st.fixed_dictionaries(
        {"v": st.just(1), "recording": st.just(NAME)},
        optional={
            name: st.none()
            | st.booleans()
            | st.floats()
            | st.integers()
            | st.text(max_size=9)
            | st.lists(st.lists(st.integers(), max_size=3))
            for name in ("topic", "reason_code", "window_bytes", "durable", "missing", "retry_after_s", "receipt")
        },
    )
)
def test_any_fields_are_survived(answer):
    """Fields of the wrong kind never raise, and never make a receipt."""
    upload = Upload(recording(), Memory(), VerifierKey.parse(GatewayDouble().log.vkey))
    upload.connected(1.0)
    upload.receive(json.dumps(answer).encode(), 1.0)
    upload.take(1.0)
    upload.tick(50.0)
    assert upload.receipt is None


def test_which_command_an_answer_names():
    """Whole topics and the examples' shortened ones."""
    assert command_of(f"lapel/v1/camera/c/file/{NAME}/1048576/ab", NAME) == "1048576"
    assert command_of("\u2026/fin/5242880", NAME) == "fin"
    assert command_of(None, NAME) == ""
    assert pairs([[0, 1], [3], "x", [5, 9]]) == Ranges(((0, 1), (5, 9)))
    assert parse_answer(b'{"v":2}') is None
    assert parse_answer(b"[" * 100_000) is None
