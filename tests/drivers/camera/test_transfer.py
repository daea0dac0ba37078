"""The conversation about one recording, without any I/O."""

from __future__ import annotations

import pytest

from drivers.camera import transfer as transfer_module
from drivers.camera.transfer import Job, Transfer, union
from drivers.camera.wire import Abort, Fin, Init, Piece, StatusQuery
from gateway.domain.evidence import RecordingFin, RecordingKey, RecordingOffer, Sealed, Segment, UploadState
from gateway.domain.ids import DeviceId, ExhibitId

KEY = RecordingKey(DeviceId("cam-1"), "rec-1")
SEALED = Sealed(KEY, ExhibitId("ex"), 4, "00", 1, {"v": 1})


def piece(offset: int, size: int = 4, acks: list | None = None) -> Job:
    """A segment on its way."""
    command = Piece(Segment(KEY, offset, b"x" * size))
    return Job(command) if acks is None else Job(command, lambda: acks.append(offset))


def state(*durable, missing=(), window=100, reason="success") -> UploadState:
    """What the store says."""
    return UploadState(KEY, None, tuple(durable), tuple(missing), window, reason)


def said(transfer: Transfer) -> list[dict]:
    """Everything it has to say, acknowledged."""
    found = []
    while (answer := transfer.answer()) is not None:
        response = answer.response
        found.append(
            {
                name: getattr(response, name)
                for name in response.__struct_fields__
                if getattr(response, name) is not None
            }
        )
        for ticket in answer.tickets:
            ticket()
    return found


def test_segments_run_side_by_side():
    """All at once."""
    transfer = Transfer(KEY, 100)
    for offset in (0, 4, 8):
        assert transfer.take(piece(offset))
    assert len(transfer.startable()) == 3
    assert transfer.startable() == []


@pytest.mark.parametrize(
    "command", [Fin(RecordingFin(KEY, 8)), StatusQuery(KEY), Abort(KEY), Init(RecordingOffer(KEY, "n"))]
)
def test_other_commands_are_barriers_both_ways(command):
    """Behind what came before, before what comes after."""
    transfer = Transfer(KEY, 100)
    first, barrier, last = piece(0), Job(command), piece(4)
    for job in (first, barrier, last):
        transfer.take(job)
    assert transfer.startable() == [first]
    transfer.kept(first, state((0, 4)))
    assert transfer.startable() == [barrier]
    assert transfer.startable() == []
    transfer.settled(barrier, state((0, 4)))
    assert transfer.startable() == [last]


def test_durable_answers_are_coalesced():
    """One answer for all that became durable before it was spoken; every ticket with it."""
    transfer, acks = Transfer(KEY, 100), []
    jobs = [piece(offset, acks=acks) for offset in (0, 4, 8)]
    for job in jobs:
        transfer.take(job)
    transfer.startable()
    for end, job in zip((4, 8, 12), jobs, strict=True):
        transfer.kept(job, state((0, end)))
    assert acks == []
    (answer,) = said(transfer)
    assert answer["durable"] == ((0, 12),)
    assert "topic" not in answer
    assert acks == [0, 4, 8]
    assert transfer.idle


def test_durable_ranges_never_shrink():
    """States that arrive out of order are united."""
    transfer = Transfer(KEY, 100)
    jobs = [piece(0), piece(4)]
    for job in jobs:
        transfer.take(job)
    transfer.startable()
    transfer.kept(jobs[1], state((0, 8)))
    assert said(transfer)[0]["durable"] == ((0, 8),)
    transfer.kept(jobs[0], state((0, 4)))
    assert said(transfer)[0]["durable"] == ((0, 8),)


@pytest.mark.parametrize("end", [SEALED, None, "state"])
def test_a_namesake_inherits_nothing(end):
    """After the end of one recording, the next of the same id is told what the store has of it: nothing yet."""
    transfer = Transfer(KEY, 100)
    transfer.take(piece(0, 8))
    transfer.kept(transfer.startable()[0], state((0, 8)))
    for command, outcome in (
        (Fin(RecordingFin(KEY, 8)), end),
        (Init(RecordingOffer(KEY, "n")), state(missing=((0, 9),))),
    ):
        transfer.take(Job(command))
        transfer.settled(transfer.startable()[0], state((0, 8)) if outcome == "state" else outcome)
    assert said(transfer)[-1]["durable"] == ()
    transfer.take(piece(4))
    transfer.kept(transfer.startable()[0], state((4, 8)))
    assert said(transfer)[0]["durable"] == ((4, 8),)


def test_the_window_bounds_what_is_held():
    """Beyond it: 0x97, retry, and the segment is let go."""
    transfer, acks = Transfer(KEY, 10), []
    assert transfer.take(piece(0, 6))
    assert not transfer.take(piece(6, 6, acks))
    assert transfer.held_bytes == 6
    (answer,) = said(transfer)
    assert (answer["reason_code"], answer["topic"], answer["retry_after_s"]) == (0x97, "…/6", 1)
    assert answer["reason_description"] == "window_exceeded"
    assert acks == [6]


def test_one_segment_larger_than_the_window_passes_alone():
    """Else it could never be sent."""
    transfer = Transfer(KEY, 10)
    assert transfer.take(piece(0, 50))
    assert not transfer.take(piece(50, 1))


def test_the_window_follows_the_store():
    """Init and status tell a new one."""
    transfer = Transfer(KEY, 100)
    job = Job(StatusQuery(KEY))
    transfer.take(job)
    transfer.startable()
    transfer.settled(job, state(window=4, missing=[(0, 4)]))
    (answer,) = said(transfer)
    assert (answer["window_bytes"], answer["durable"], answer["missing"]) == (4, (), ((0, 4),))
    transfer.take(piece(0, 4))
    assert not transfer.take(piece(4, 4))


def test_commands_without_bytes_are_bounded_too():
    """A flood of status queries ends in 0x97."""
    transfer = Transfer(KEY, 100)
    for _ in range(4096):
        assert transfer.take(Job(StatusQuery(KEY)))
    assert not transfer.take(Job(StatusQuery(KEY)))
    assert said(transfer)[0]["reason_description"] == "queue_full"


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (
            state((0, 4), missing=[(4, 8)]),
            {"reason_code": 0x10, "reason_description": "incomplete", "missing": ((4, 8),)},
        ),
        (state((0, 8), reason="checksum_mismatch"), {"reason_code": 0x80, "reason_description": "checksum_mismatch"}),
        (SEALED, {"reason_code": 0, "reason_description": "success", "receipt": {"v": 1}}),
    ],
)
def test_what_fin_is_answered(outcome, expected):
    """Receipt, or what is missing."""
    transfer = Transfer(KEY, 100)
    job = Job(Fin(RecordingFin(KEY, 8)))
    transfer.take(job)
    transfer.startable()
    transfer.settled(job, outcome)
    (answer,) = said(transfer)
    assert answer["topic"] == "…/fin/8"
    assert expected.items() <= answer.items()
    assert "window_bytes" not in answer


def test_an_unknown_recording_is_said():
    """State and abandon give None."""
    transfer = Transfer(KEY, 100)
    job = Job(Abort(KEY))
    transfer.take(job)
    transfer.startable()
    transfer.settled(job, None)
    assert said(transfer)[0]["reason_description"] == "unknown_recording"


def test_a_bad_segment_frees_its_bytes():
    """And the queue goes on."""
    transfer = Transfer(KEY, 100)
    job, fin = piece(0), Job(Fin(RecordingFin(KEY, 4)))
    transfer.take(job)
    transfer.take(fin)
    transfer.startable()
    transfer.bad(job, "segment_conflict")
    assert transfer.held_bytes == 0
    assert transfer.startable() == [fin]
    assert said(transfer)[0]["reason_description"] == "segment_conflict"


def test_malformed_is_said_with_its_suffix():
    """0x83."""
    transfer = Transfer(KEY, 100)
    transfer.malformed("…/x", "offset: 'x'")
    assert not transfer.silent
    assert said(transfer) == [
        {"recording": "rec-1", "v": 1, "topic": "…/x", "reason_code": 0x83, "reason_description": "offset: 'x'"}
    ]


def test_many_ranges_are_cut_not_dropped_for_good():
    """An answer names at most a thousand; what it names is true."""
    transfer = Transfer(KEY, 100)
    job = piece(0)
    transfer.take(job)
    transfer.startable()
    transfer.kept(job, state(*((n * 10, n * 10 + 4) for n in range(3000))))
    assert len(said(transfer)[0]["durable"]) == 1000
    assert len(transfer.durable) == 3000


def test_of_too_many_ranges_those_just_kept_are_told():
    """A camera that sends in no order at all hears of each segment, however many islands there are."""
    transfer = Transfer(KEY, 100)
    jobs = [piece(29_990), piece(29_970)]
    for job in jobs:
        assert transfer.take(job)
    assert len(transfer.startable()) == 2
    ranges = [(n * 10, n * 10 + 4) for n in range(3000)]
    for job in jobs:
        transfer.kept(job, state(*ranges))
    [answer] = said(transfer)
    assert len(answer["durable"]) == 1000
    assert {(29_990, 29_994), (29_970, 29_974), (0, 4)} <= set(answer["durable"])
    assert list(answer["durable"]) == sorted(answer["durable"])


def test_union():
    """Touching and overlapping ranges merge, empty ones vanish."""
    assert union([(4, 8), (0, 4), (6, 9), (20, 20), (12, 13)]) == ((0, 9), (12, 13))
    assert union([]) == ()


def test_answers_that_cannot_go_out_are_bounded_and_every_message_is_acknowledged(monkeypatch):
    """Nonsense faster than we can answer it: the newest refusal stands, a receipt stays, no ticket is lost."""
    monkeypatch.setattr(transfer_module, "ANSWERS_LIMIT", 10)
    acks: list[int] = []
    transfer = Transfer(KEY, 4)
    fin = Job(Fin(RecordingFin(KEY, 4)))
    transfer.take(fin)
    transfer.startable()
    for _ in range(9):
        transfer.malformed("…/x", "bad")
    transfer.settled(fin, SEALED)
    for offset in range(0, 400, 4):
        transfer.take(piece(offset, acks=acks))
    spoken = said(transfer)
    assert len(spoken) == 10
    assert spoken[-1]["receipt"] == {"v": 1}
    assert transfer.unsaid == 99
    assert acks == list(range(4, 400, 4))
