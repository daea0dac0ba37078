"""What each camera may hold: as much as is still free, one segment always, and never more than the numbers say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.camera import share as share_module
from drivers.camera.share import Memory
from drivers.camera.transfer import Job, Transfer
from drivers.camera.wire import Piece, StatusQuery
from gateway.domain.evidence import RecordingKey, Segment, UploadState
from gateway.domain.ids import DeviceId

CAMS = [DeviceId(f"cam-{n}") for n in range(5)]


def filled(memory: Memory, device: DeviceId, octets: int) -> int:
    """How much a camera that sends without end is given."""
    share, taken = memory.of(device), 0
    while memory.refuses(share, octets) is None:
        memory.take(share, octets)
        taken += octets
    return taken


def test_one_camera_alone_has_half():
    """The other half is for whoever comes."""
    assert filled(Memory(1000), CAMS[0], 10) == 500


def test_two_that_send_without_end_leave_a_third():
    """The second is given what the first has left of its half, and so on: nobody is left with nothing."""
    memory = Memory(1024)
    assert [filled(memory, device, 1) for device in CAMS[:3]] == [512, 256, 128]


def test_a_segment_is_always_taken_from_who_has_none():
    """However full it is."""
    memory = Memory(10)
    assert [filled(memory, device, 1000) for device in CAMS] == [1000] * 5


def test_commands_are_bounded(monkeypatch):
    """Those without footage too."""
    monkeypatch.setattr(share_module, "COMMANDS_MAX", 3)
    memory = Memory(10)
    share = memory.of(CAMS[0])
    for _ in range(3):
        assert memory.refuses(share, 0) is None
        memory.take(share, 0)
    assert memory.refuses(share, 0) == "too_many_commands"
    assert memory.refuses(memory.of(CAMS[1]), 0) is None


@given(st.lists(st.tuples(st.sampled_from(CAMS), st.integers(0, 40), st.booleans()), max_size=200))
def test_what_is_given_back_is_there_again(steps):
    """Sums agree at every step; beyond the limit only by one segment a camera; at the end nothing is held."""
    memory, held = Memory(100), []
    for device, octets, gives in steps:
        if gives and held:
            memory.give_back(*held.pop())
        elif memory.refuses(memory.of(device), octets) is None:
            memory.take(memory.of(device), octets)
            held.append((memory.of(device), octets))
        assert memory.held_bytes == sum(octets for _, octets in held)
        assert memory.held_bytes <= 100 + 40 * len(CAMS)
    for share, octets in held:
        memory.give_back(share, octets)
    for device in CAMS:
        memory.forget_idle(device)
    assert (memory.held_bytes, len(memory)) == (0, 0)


def test_answers_of_all_recordings_of_a_camera_are_bounded(monkeypatch):
    """Beyond the number each recording keeps its newest word, and every message is still acknowledged."""
    monkeypatch.setattr("drivers.camera.transfer.ANSWERS_MAX", 4)
    share, acks, transfers = Memory(100).of(CAMS[0]), [], []
    for number in range(3):
        key = RecordingKey(CAMS[0], f"r{number}")
        transfer = Transfer(key, 1 << 20, share)
        transfers.append(transfer)
        for at in range(5):
            job = Job(Piece(Segment(key, at, b"x")), lambda: acks.append(1))
            transfer.bad(job, f"bad {at}")
    assert share.answers <= 4 + 2
    said = []
    for transfer in transfers:
        while (answer := transfer.answer()) is not None:
            said.append(answer.response.reason_description)
            for ticket in answer.tickets:
                ticket()
    assert len(acks) == 15
    assert said.count("bad 4") == 3
    assert share.answers == 0


def test_told_once_a_second():
    """A flood is answered, but not each message of it."""
    share = Memory(1).of(CAMS[0])
    assert [share.may_be_told(now) for now in (0.0, 0.5, 1.0, 1.9, 2.1)] == [True, False, True, False, True]


def test_a_barrier_still_bars():
    """A status query waits for the segments before it, and holds back those behind."""
    key = RecordingKey(CAMS[0], "r")
    transfer = Transfer(key, 100)
    first, query, last = Job(Piece(Segment(key, 0, b"x"))), Job(StatusQuery(key)), Job(Piece(Segment(key, 1, b"x")))
    for job in (first, query, last):
        assert transfer.take(job)
    assert transfer.startable() == [first]
    transfer.kept(first, UploadState(key, None, ((0, 1),), (), 100))
    assert transfer.startable() == [query]
    assert transfer.startable() == []
    transfer.settled(query, UploadState(key, None, ((0, 1),), (), 100))
    assert transfer.startable() == [last]
