"""Properties of the camera wire and transfer: nothing raised, answers true, memory bounded, order kept."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.camera import telemetry, wire
from drivers.camera.transfer import Job, Transfer, union
from drivers.camera.wire import CommandError, Fin, Init, Piece, StatusQuery
from gateway.domain.events import EmergencyReport
from gateway.domain.evidence import RecordingFin, RecordingKey, RecordingOffer, Segment, UploadState
from gateway.domain.ids import DeviceId
from tests.drivers.links.rig import NOW

QUIET = settings(derandomize=True, deadline=None)
KEY = RecordingKey(DeviceId("cam-1"), "rec-1")
LEVEL = st.one_of(
    st.text(max_size=12), st.sampled_from(["init", "fin", "status", "abort", "0", "file", "a" * 64, "17"])
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
INIT_KEYS = ["name", "size", "checksum", "content_type", "started_at", "ended_at", "user_data", "segments_ttl"]
RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: tuple(sorted(pair))), max_size=12)


@given(st.lists(LEVEL, max_size=5), st.binary(max_size=200), st.booleans())
@QUIET
def test_any_topic_and_payload_is_a_command_or_a_command_error(levels, payload, rooted):
    """Nothing else is raised; what is read names its recording."""
    root = ["lapel", "v1", "camera", "cam-1", "file", "rec-1"] if rooted else ["lapel", "v1", "camera"]
    try:
        command = wire.parse("/".join(root + levels), payload)
    except CommandError:
        return
    assert wire.suffix_of(command).startswith("…/")
    assert wire.key_of(command).recording


@given(st.dictionaries(st.sampled_from(INIT_KEYS), JSON))
@QUIET
def test_any_init_object_is_an_offer(body):
    """No recording is refused for what its init says; nothing said is lost."""
    topic = "lapel/v1/camera/cam-1/file/rec-1/init"
    try:
        offer = wire.parse(topic, json.dumps(body, allow_nan=False).encode()).offer
    except ValueError:
        return  # NaN has no JSON
    assert offer.key == KEY
    assert offer.name
    assert offer.size is None or offer.size >= 0
    for key in ("size", "started_at", "ended_at", "checksum"):
        if body.get(key) is not None:
            assert (getattr(offer, key) is None) == (key in offer.user_data.get("unreadable", {}))


@given(st.integers(0, 10**15), st.binary(max_size=50), st.none() | st.binary(min_size=32, max_size=32))
@QUIET
def test_a_segment_topic_prints_and_parses_to_itself(offset, content, digest):
    """Parse after print is the identity."""
    words = str(offset) if digest is None else f"{offset}/{digest.hex()}"
    command = wire.parse(f"lapel/v1/camera/cam-1/file/rec-1/{words}", content)
    assert command == Piece(Segment(KEY, offset, content, None if digest is None else digest.hex()))


@given(RANGES)
@QUIET
def test_union_covers_the_same_bytes_with_the_fewest_ranges(ranges):
    """Against a set of bytes."""
    merged = union(ranges)
    assert {byte for start, end in merged for byte in range(start, end)} == {
        byte for start, end in ranges for byte in range(start, end)
    }
    assert all(a[1] < b[0] for a, b in pairwise(merged))
    assert all(start < end for start, end in merged)


@given(
    st.binary(max_size=200) | JSON.map(lambda body: json.dumps(body).encode()),
    st.sampled_from(["event", "status", "x"]),
)
@QUIET
def test_any_telemetry_is_read(payload, leaf):
    """Never an exception."""
    telemetry.read(f"lapel/v1/camera/cam-1/{leaf}", payload, NOW, "cams")


@given(st.dictionaries(st.sampled_from(["at", "latitude", "longitude", "accuracy_m", "battery_pct", "v"]), JSON))
@QUIET
def test_a_panic_always_comes_out_first(body):
    """Whatever stands beside it, cut short or not."""
    payload = json.dumps({"event": "panic", **body}).encode()
    for sent in (payload, payload[:-1]):
        events = telemetry.read("lapel/v1/camera/cam-1/event", sent, NOW, "cams").events
        assert isinstance(events[0], EmergencyReport)
        assert sum(isinstance(event, EmergencyReport) for event in events) == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("piece"), st.integers(0, 20), st.integers(1, 6)),
        st.tuples(st.sampled_from(["init", "status", "fin"]), st.just(0), st.just(0)),
        st.tuples(st.sampled_from(["finish", "fail", "speak"]), st.integers(0, 9), st.just(0)),
    ),
    max_size=60,
)
WINDOW = 16


class Play:
    """A transfer played against a store that keeps a set of bytes."""

    def __init__(self) -> None:
        self.transfer, self.running, self.stored = Transfer(KEY, WINDOW), [], set()
        self.told: tuple = ()
        self.tickets: list[int] = []
        self.sent = self.answered = 0

    def send(self, command) -> None:
        """One command arrives; whatever may start does."""
        number = self.sent
        self.sent += 1
        self.transfer.take(Job(command, lambda: self.tickets.append(number)))
        self.start()

    def start(self) -> None:
        """Start, and check who runs beside whom."""
        self.running += self.transfer.startable()
        kinds = [isinstance(job.command, Piece) for job in self.running]
        assert all(kinds) or len(kinds) == 1
        assert sum(job.weight for job in self.running) <= self.transfer.held_bytes <= max(WINDOW, 6)

    def state(self) -> UploadState:
        """What the store says."""
        return UploadState(KEY, None, union((byte, byte + 1) for byte in self.stored), (), WINDOW)

    def end(self, which: int, *, well: bool) -> None:
        """One running job ends."""
        if not self.running:
            return
        job = self.running.pop(which % len(self.running))
        if not well:
            self.transfer.busy(job, "disk_reserve", 30)
        elif isinstance(job.command, Piece):
            segment = job.command.segment
            self.stored |= set(range(segment.offset, segment.offset + len(segment.content)))
            self.transfer.kept(job, self.state())
        else:
            self.transfer.settled(job, self.state())
        self.start()

    def speak(self) -> None:
        """One answer goes out, and it is true."""
        answer = self.transfer.answer()
        if answer is None:
            return
        if answer.response.durable is not None:
            claimed = {byte for start, end in answer.response.durable for byte in range(start, end)}
            assert claimed <= self.stored
            before = {byte for start, end in self.told for byte in range(start, end)}
            assert before <= claimed, "durable ranges never shrink"
            self.told = answer.response.durable
        for ticket in answer.tickets:
            ticket()


@given(STEPS)
@QUIET
def test_a_transfer_tells_the_truth_and_answers_everything(steps):
    """Durable is only what is stored, never shrinks; every command is answered once; memory is bounded."""
    play = Play()
    commands = {"init": Init(RecordingOffer(KEY, "n")), "status": StatusQuery(KEY), "fin": Fin(RecordingFin(KEY, 30))}
    for kind, number, size in steps:
        if kind == "piece":
            play.send(Piece(Segment(KEY, number, b"x" * size)))
        elif kind in commands:
            play.send(commands[kind])
        elif kind == "speak":
            play.speak()
        else:
            play.end(number, well=kind == "finish")
    while play.running:
        play.end(0, well=True)
    while not play.transfer.silent:
        play.speak()
    assert play.transfer.idle
    assert play.transfer.held_bytes == 0
    assert sorted(play.tickets) == list(range(play.sent))
