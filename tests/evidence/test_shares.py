"""Limits delay and never refuse: rates, uploads, staging; what may be evidence goes first."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.evidence import RecordingKey, RecordingOffer, Sealed, Segment
from gateway.domain.ids import DeviceId
from gateway.domain.time import Instant
from gateway.errors import StoreBusyError
from gateway.evidence.shares import MIB, Limits, Shares, payer, says_evidence
from gateway.evidence.vault.ranges import Ranges
from tests.evidence.vault.lab import AT, Lab, fin, noise, offer, pieces


def at(seconds: float) -> Instant:
    """So many seconds on."""
    return Instant(seconds, AT + timedelta(seconds=seconds))


class Ward:
    """Shares over uploads made up for it."""

    def __init__(self, **limits) -> None:
        self.uploads: dict = {}
        self.shares = Shares(Limits(**limits), self.uploads)
        self.told: list[int] = []

    def upload(self, device="cam-1", recording="r", staged=0, heard=0.0, **said):
        """An open upload with so many bytes staged."""
        key = RecordingKey(DeviceId(device), recording)
        one = SimpleNamespace(
            key=key,
            exhibit=f"X-{len(self.uploads):012}",
            offer=RecordingOffer(key, recording, user_data=said),
            staged=SimpleNamespace(durable=Ranges([(0, staged)] if staged else [])),
            heard=at(heard),
        )
        self.uploads[key] = one
        return one

    def sent(self, upload, octets, seconds, every_s=0.05, begins_s=0.0) -> int:
        """How many bytes of a camera that keeps trying are taken within so long."""
        taken, now = 0, begins_s
        while now < begins_s + seconds:
            try:
                self.shares.check_segment(upload, octets, at(now))
                taken += octets
            except StoreBusyError as busy:
                self.told.append(busy.retry_after_s)
            now += every_s
        assert min(self.told, default=1) >= 1
        return taken


@pytest.mark.parametrize("octets", [1000, 256 * 1024, MIB, 4 * MIB])
def test_a_camera_sends_at_its_rate(octets):
    """Whatever the size of its segments, over a while it is the rate and at most a burst and a segment more."""
    ward = Ward(camera_mb_s=1)
    taken = ward.sent(ward.upload(), octets, 60, every_s=octets / 4e6)
    assert 0.85 * 60e6 <= taken <= 61e6 + octets


def test_a_retry_after_what_was_told_is_taken():
    """The time that a camera is told is enough."""
    ward = Ward(camera_mb_s=1)
    one = ward.upload()
    ward.shares.check_segment(one, 4 * MIB, at(0))
    with pytest.raises(StoreBusyError, match="camera_rate") as held:
        ward.shares.check_segment(one, 1, at(0))
    ward.shares.check_segment(one, 1, at(held.value.retry_after_s + 0.01))
    assert ward.shares.counters["held_by_camera_rate"] == 1


def test_all_together_send_at_the_total_and_each_has_its_part():
    """A camera that tries ten times as often gets no more than its part while the other wants its own."""
    ward = Ward(total_mb_s=2)
    hog, meek = ward.upload("cam-hog"), ward.upload("cam-meek")
    taken = {"hog": 0, "meek": 0}
    for tick in range(6000):
        for name, one, tries in (("hog", hog, 10), ("meek", meek, 1)):
            for _ in range(tries):
                try:
                    ward.shares.check_segment(one, 65536, at(tick / 100))
                    taken[name] += 65536
                except StoreBusyError:
                    continue
    assert taken["meek"] >= 0.9 * 60e6
    assert taken["hog"] + taken["meek"] <= 1.1 * 120e6


def test_what_one_leaves_the_other_has():
    """Alone, a camera has the whole."""
    ward = Ward(total_mb_s=2)
    ward.upload("cam-idle")
    assert ward.sent(ward.upload("cam-busy"), 65536, 30, every_s=0.01) >= 0.85 * 60e6


def test_evidence_goes_first_when_rate_is_short():
    """What is said to be of an incident draws a second in advance, and the rest waits."""
    ward = Ward(camera_mb_s=1)
    plain, urgent = ward.upload(recording="plain"), ward.upload(recording="urgent", incident="INC-7")
    ward.shares.check_segment(plain, 1_200_000, at(0))
    with pytest.raises(StoreBusyError):
        ward.shares.check_segment(plain, 1, at(0))
    ward.shares.check_segment(urgent, 1_000_000, at(0))
    with pytest.raises(StoreBusyError):
        ward.shares.check_segment(urgent, 1, at(0))


def test_what_is_asked_for_goes_first_until_it_is_sealed():
    """The control room wants a recording that says nothing of itself."""
    ward = Ward()
    one = ward.upload()
    assert not ward.shares.first(one.offer)
    ward.shares.want(one.key)
    assert ward.shares.first(one.offer)
    ward.shares.ended(one.key)
    assert not ward.shares.first(one.offer)


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ({}, False),
        ({"trigger": "button"}, True),
        ({"trigger": "schedule"}, False),
        ({"trigger": 7}, False),
        ({"incident": "INC-1"}, True),
        ({"incident": None}, False),
        ({"evidential": True}, True),
        ({"evidential": "perhaps"}, False),
        ({"tags": ["evidential"]}, True),
        ({"tags": {"evidential": True}}, True),
        ({"tags": {"evidential": False, "x": 1}}, False),
        ({"tags": "evidential"}, False),
    ],
)
def test_what_says_evidence(said, first):
    """Trigger, incident, tag."""
    assert says_evidence(RecordingOffer(RecordingKey(DeviceId("c"), "r"), "r", user_data=said)) is first


def test_uploads_of_one_camera_are_bounded_and_others_begin():
    """Open ones, and begun within a minute; idle ones do not count, and time gives room."""
    ward = Ward(camera_uploads=3)
    asked = RecordingKey(DeviceId("cam-1"), "next")
    for number in range(3):
        ward.shares.check_start(RecordingKey(DeviceId("cam-1"), str(number)), at(0), begins=True)
        ward.upload(recording=str(number))
    with pytest.raises(StoreBusyError, match="uploads"):
        ward.shares.check_start(asked, at(0))
    ward.shares.check_start(RecordingKey(DeviceId("cam-2"), "r"), at(0))
    ward.shares.check_start(RecordingKey(DeviceId("cam-1"), "0"), at(0))  # it is open already
    ward.uploads.clear()
    with pytest.raises(StoreBusyError, match="uploads"):
        ward.shares.check_start(asked, at(1))  # however fast it ends them
    ward.shares.check_start(asked, at(21))
    for number in range(3):
        ward.upload(recording=str(number), heard=21)
    ward.shares.check_start(asked, at(21 + 130))  # nothing was heard of those for minutes


def test_at_the_limit_of_staging_the_oldest_goes_on():
    """Its own limit and that of all; so something always ends, and makes room."""
    ward = Ward(camera_staging_mb=2, staging_mb=3)
    old, young, other = ward.upload(recording="a", staged=MIB), ward.upload(recording="b", staged=MIB), None
    ward.shares.check_segment(old, 1, at(0))
    with pytest.raises(StoreBusyError, match="staging"):
        ward.shares.check_segment(young, 1, at(0))
    other = ward.upload("cam-2", staged=MIB)
    with pytest.raises(StoreBusyError, match="staging"):
        ward.shares.check_segment(other, 1, at(0))
    assert "3 MiB" in ward.shares.short(at(0))
    young.offer.user_data["incident"] = "INC-1"
    ward.uploads.pop(other.key)
    ward.shares.check_segment(young, 1, at(2))  # a quarter more


def test_idle_uploads_make_room_the_longest_idle_first():
    """Only at the limit, only those idle, no more than needed."""
    ward = Ward(camera_staging_mb=2)
    first = ward.upload(recording="a", staged=MIB, heard=0)
    ward.upload(recording="b", staged=MIB, heard=10)
    ward.upload(recording="c", staged=MIB, heard=1000)
    ward.upload("cam-2", staged=MIB, heard=0)
    assert ward.shares.too_much(at(1000))[0] == first.key
    assert len(ward.shares.too_much(at(1000))) == 2
    assert Ward().shares.too_much(at(0)) == []


def test_the_window_is_the_part_of_memory_and_of_a_second():
    """min(8 MiB, memory / active), half of memory for one camera's own, a second of its rate; never below 1 MiB."""
    ward = Ward(memory_mb=64)
    assert ward.shares.window_bytes(DeviceId("cam-1"), at(0)) == 8 * MIB
    for number in range(16):
        ward.upload(recording=str(number))
    assert ward.shares.window_bytes(DeviceId("cam-2"), at(0)) == 4 * MIB
    assert ward.shares.window_bytes(DeviceId("cam-1"), at(0)) == 2 * MIB
    assert ward.shares.window_bytes(DeviceId("cam-1"), at(500)) == 8 * MIB  # idle ones take no part
    assert Ward(camera_mb_s=3).shares.window_bytes(DeviceId("c"), at(0)) == 3_000_000
    assert Ward(total_mb_s=1).shares.window_bytes(DeviceId("c"), at(0)) == MIB


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, 4 * MIB), st.floats(0, 3)), max_size=80))
@settings(deadline=None)
def test_nobody_is_held_for_good(tries):
    """Whatever was sent before: whoever waits as long as told, and comes again, is let in within a few rounds."""
    ward = Ward(camera_mb_s=1, total_mb_s=2)
    uploads, now = {name: ward.upload(f"cam-{name}") for name in "abc"}, 0.0
    for name, octets, pause_s in tries:
        now += pause_s
        try:
            ward.shares.check_segment(uploads[name], octets, at(now))
        except StoreBusyError:
            continue
    for _ in range(5):
        try:
            ward.shares.check_segment(uploads["a"], MIB, at(now))
            return
        except StoreBusyError as busy:
            now += busy.retry_after_s
    raise AssertionError("held for good")


async def test_a_camera_over_its_staging_is_made_room_for(tmp_path):
    """The real sink: idle uploads are sealed as far as they came, the new one is then taken whole; nothing is lost."""
    lab = Lab(tmp_path, camera_staging_mb=1)
    content = noise(MIB)
    keys = [RecordingKey(DeviceId("cam-0042"), f"rec-{n}") for n in range(2)]
    async with lab.running() as sink:
        await sink.begin(offer(content, key=keys[0]))
        await sink.keep(Segment(keys[0], 0, content[: MIB - 1]))
        lab.clock.seconds += 1
        await sink.begin(offer(content, key=keys[1]))
        await sink.keep(Segment(keys[1], 0, content[:1000]))
        lab.clock.seconds += 2
        with pytest.raises(StoreBusyError, match="staging"):
            await sink.keep(Segment(keys[1], 1000, content[1000:2000]))
        lab.clock.seconds += 200
        await sink.begin(offer(content, key=keys[1]))
        assert await sink.expire() == 1
        for piece in pieces(content, 100_000, keys[1]):
            await sink.keep(piece)
        sealed = await sink.finish(fin(content, keys[1]))
        assert isinstance(sealed, Sealed)
        part = await sink.state(keys[0])
        assert (part.size, lab.content(part.exhibit)) == (MIB - 1, content[: MIB - 1])
        for piece in pieces(content, 100_000, keys[0]):  # it comes back after all
            await sink.keep(piece)
        whole = await sink.finish(fin(content, keys[0]))
    assert lab.content(whole.exhibit) == content
    assert "late_segments" in whole.flags


def test_a_dock_without_the_right_spends_its_own_share():
    """Whatever it opens under a camera's name: the camera has its uploads, its rate and its window."""
    ward = Ward(camera_uploads=2, camera_mb_s=1, camera_staging_mb=1)
    cam, dock = DeviceId("cam-1"), DeviceId("dock-2")
    for number in range(2):
        one = ward.upload(recording=str(number), staged=2 * MIB)
        del ward.uploads[one.key]
        one.key = RecordingKey(cam, str(number), dock)
        ward.uploads[one.key] = one
        if number == 0:
            ward.shares.check_segment(one, 4 * MIB, at(0))
    with pytest.raises(StoreBusyError):
        ward.shares.check_start(RecordingKey(DeviceId("cam-2"), "r", dock), at(0))
    ward.shares.check_start(RecordingKey(cam, "mine"), at(0))
    ward.shares.check_segment(ward.upload(recording="mine"), MIB, at(0))
    assert payer(RecordingKey(cam, "r", dock)) == dock
