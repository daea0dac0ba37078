"""The sender's conversation against the real vault and the real gateway's side of the wire; whatever is lost."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.camera import wire
from drivers.camera.transfer import Job, Transfer
from gateway.dock.sending import PATIENCE_S, Piece, Sending, Words, read_answer
from gateway.domain.evidence import Sealed
from gateway.errors import SegmentError, StoreBusyError
from tests.evidence.vault.lab import Lab, noise, sha

KIB = 1024
TOPIC = "lapel/v1/dock/dock-1/camera/cam-0042/file/rec-1"


class Peer:
    """The gateway's own parse, transfer and vault, driven by hand: one command in, its answers out."""

    def __init__(self, sink) -> None:
        self.sink = sink
        self.transfer = None

    async def say(self, topic: str, payload: bytes) -> list[bytes]:
        """What the gateway answers."""
        command = wire.parse(topic, payload)
        self.transfer = self.transfer or Transfer(wire.key_of(command), 8 << 20)
        self.transfer.take(Job(command))
        for job in self.transfer.startable():
            await self._perform(job)
        answers = []
        while (answer := self.transfer.answer()) is not None:
            answers.append(wire.respond(answer.response))
        return answers

    async def _perform(self, job) -> None:
        sink, command = self.sink, job.command
        try:
            match command:
                case wire.Piece(segment=segment):
                    self.transfer.kept(job, await sink.keep(segment))
                case wire.Init(offer=offer):
                    self.transfer.settled(job, await sink.begin(offer))
                case wire.StatusQuery(key=key):
                    self.transfer.settled(job, await sink.state(key))
                case wire.Fin(fin=fin):
                    self.transfer.settled(job, await sink.finish(fin))
                case wire.Abort(key=key):
                    self.transfer.settled(job, await sink.abandon(key))
        except SegmentError as bad:
            self.transfer.bad(job, str(bad))
        except StoreBusyError as busy:
            self.transfer.busy(job, str(busy), busy.retry_after_s)


def wired(content: bytes, command) -> tuple[str, bytes]:
    """A command as it goes over the wire."""
    if isinstance(command, Piece):
        part = content[command.start : command.end]
        return f"{TOPIC}/{command.start}/{sha(part)}", part
    return f"{TOPIC}/{command.suffix}", command.payload


def offer(content: bytes) -> bytes:
    """An init payload."""
    return json.dumps({"name": "clip.mp4", "size": len(content), "checksum": sha(content)}).encode()


async def upload(folder: Path, content: bytes, seed: int, losses: float, restarts: int) -> tuple[Lab, list]:
    """One recording through a wire that loses, doubles and reorders, with restarts of either side."""
    lab, dice, now_s = Lab(folder), random.Random(seed), 0.0
    sending = Sending(len(content), sha(content), offer(content), 16 * KIB)
    sealed: list = []
    while sending.receipt is None:
        async with lab.running() as sink:
            peer, turns = Peer(sink), dice.randrange(3, 40) if restarts else 10_000
            restarts -= 1
            on_the_way: list[bytes] = []
            while turns and sending.receipt is None:
                turns -= 1
                flight = sum(end - start for start, end in sending._out.items())
                assert flight <= max(sending._window_bytes, 16 * KIB), "more is in flight than the window allows"
                commands = sending.to_send(now_s)
                dice.shuffle(commands)
                for command in commands:
                    for _ in range(dice.choice((1, 1, 1, 2)) if dice.random() >= losses else 0):
                        on_the_way += await peer.say(*wired(content, command))
                dice.shuffle(on_the_way)
                arriving, on_the_way = on_the_way[: dice.randrange(1, 9)], on_the_way[9:]
                for answer in arriving:
                    if dice.random() >= losses:
                        sending.hear(read_answer(answer), now_s)
                now_s = max(now_s + 0.1, sending.deadline(now_s) if not commands and not arriving else 0)
                assert now_s < 1e6, f"it never ends: {sending._step}, {sending.problem}"
        if dice.random() < 0.5:
            sending.lost()
        elif sending.receipt is None:
            sending = Sending(len(content), sha(content), offer(content), 16 * KIB)  # the dock itself died
    sealed += [entry for entry in lab.log.entries if entry.facts["kind"] == "seal"]
    return lab, sealed


@given(st.integers(0, 2**32), st.integers(0, 300 * KIB), st.sampled_from([0.0, 0.1, 0.4]), st.integers(0, 3))
@settings(derandomize=True, deadline=None, max_examples=25)
def test_whatever_is_lost_it_is_sealed_once_and_whole(seed, size, losses, restarts):
    """Commands and answers lost, doubled, reordered; dock or gateway restarted: one seal, byte for byte."""
    content = noise(size, seed % 1000)
    with tempfile.TemporaryDirectory() as folder:
        lab, seals = asyncio.run(upload(Path(folder), content, seed, losses, restarts))
        assert [entry.facts["sha256"] for entry in seals] == [sha(content)]
        assert seals[0].facts["complete"] is True
        assert lab.content(seals[0].facts["exhibit"]) == content


@given(
    st.lists(
        st.binary(max_size=60)
        | st.recursive(
            st.none() | st.integers(-5, 99) | st.text(max_size=9),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["recording", "topic", "reason_code", "durable", "missing", "window_bytes", "receipt"]
                    ),
                    inner,
                )
            ),
            max_leaves=9,
        ).map(lambda value: json.dumps(value).encode()),
        max_size=12,
    )
)
@settings(derandomize=True, deadline=None)
def test_no_answer_breaks_it(answers):
    """Whatever comes on the response topic: nothing raised, what is durable stays within the recording."""
    sending = Sending(1000, "0" * 64, b"{}", 100)
    for now_s, payload in enumerate(answers):
        if (answer := read_answer(payload)) is not None:
            sending.hear(answer, float(now_s))
        sending.to_send(float(now_s))
        assert 0 <= sending.durable_bytes <= 1000
        assert sending.deadline(float(now_s)) >= now_s


def answer(**words):
    """An answer as the gateway prints it."""
    found = read_answer(msgspec.json.encode({"v": 1, "recording": "rec-1", **words}))
    assert found is not None
    return found


def began(size: int = 1000, window: int = 300) -> Sending:
    """A conversation whose init is answered."""
    sending = Sending(size, "0" * 64, b"{}", 100)
    assert sending.to_send(0.0) == [Words("init", b"{}")]
    sending.hear(answer(topic="…/init", window_bytes=window, durable=[], missing=[[0, size]]), 0.0)
    return sending


def test_the_window_holds_it_back():
    """Three pieces of a window of three; what is durable makes room."""
    sending = began()
    assert sending.to_send(0.0) == [Piece(0, 100), Piece(100, 200), Piece(200, 300)]
    assert sending.to_send(0.1) == []
    sending.hear(answer(durable=[[0, 100]]), 0.2)
    assert sending.to_send(0.2) == [Piece(300, 400)]


def test_not_now_is_a_rest():
    """0x97: nothing for retry_after_s, then the piece again; the reason is told."""
    sending = began()
    sending.to_send(0.0)
    for start in (0, 100, 200):
        told = answer(topic=f"…/{start}", reason_code=0x97, reason_description="disk_reserve", retry_after_s=30)
        sending.hear(told, 1.0)
    assert sending.problem == "disk_reserve"
    assert sending.to_send(30.9) == []
    assert sending.deadline(2.0) == 31.0
    assert sending.to_send(31.0) == [Piece(0, 100), Piece(100, 200), Piece(200, 300)]


def test_silence_asks_what_is_there():
    """No word for a while: `status`, and its answer is the whole truth."""
    sending = began()
    sending.to_send(0.0)
    assert sending.to_send(PATIENCE_S - 0.1) == []
    assert sending.to_send(PATIENCE_S) == [Words("status")]
    sending.hear(answer(topic="…/status", durable=[[100, 200]], missing=[[0, 100], [200, 1000]]), PATIENCE_S)
    assert sending.to_send(PATIENCE_S) == [Piece(0, 100), Piece(200, 300), Piece(300, 400)]


def test_a_fin_that_names_what_is_missing():
    """0x10: those ranges and no others, then `fin` again."""
    sending = began(200)
    sending.to_send(0.0)
    sending.hear(answer(durable=[[0, 200]]), 0.1)
    assert sending.to_send(0.1) == [Words(f"fin/200/{'0' * 64}")]
    sending.hear(answer(topic="…/fin/200", reason_code=0x10, durable=[[0, 150]], missing=[[150, 200]]), 0.2)
    assert sending.to_send(0.2) == [Piece(150, 200)]
    sending.hear(answer(durable=[[150, 200]]), 0.3)
    assert sending.to_send(0.3) == [Words(f"fin/200/{'0' * 64}")]


def test_a_conflict_is_sealed_as_it_is_and_begun_anew():
    """What is there is not this file's: abort, whose receipt is not ours, then init."""
    sending = began()
    sending.to_send(0.0)
    sending.hear(answer(topic="…/0", reason_code=0x80, reason_description="segment_conflict"), 1.0)
    assert sending.to_send(3.0) == [Words("abort")]
    sending.hear(answer(topic="…/abort", receipt={"v": 1}), 3.1)
    assert sending.receipt is None
    assert sending.to_send(5.0) == [Words("init", b"{}")]


def test_a_gateway_that_knows_nothing_of_it():
    """unknown_recording: from the beginning."""
    sending = began()
    sending.to_send(0.0)
    sending.to_send(PATIENCE_S)
    sending.hear(answer(topic="…/status", reason_code=0x80, reason_description="unknown_recording"), 20.0)
    assert sending.to_send(22.0) == [Words("init", b"{}")]


def test_a_receipt_that_does_not_hold_is_asked_for_again_later():
    """Not at once, and never believed."""
    sending = began(0)
    assert sending.to_send(0.0) == [Words(f"fin/0/{'0' * 64}")]
    sending.hear(answer(receipt={"v": 1}), 1.0)
    sending.reject_receipt("wrong key", 1.0)
    assert (sending.receipt, sending.problem, sending.to_send(60.0)) == (None, "wrong key", [])
    assert sending.to_send(61.0) == [Words(f"fin/0/{'0' * 64}")]


@pytest.mark.parametrize("code", [0x80, 0x83, 0x42])
def test_a_refusal_is_named_and_tried_again_much_later(code):
    """Whatever the gateway has against it, the recording is neither dropped nor hammered."""
    sending = Sending(10, "0" * 64, b"{}")
    sending.to_send(0.0)
    sending.hear(answer(topic="…/init", reason_code=code, reason_description="bad_size"), 0.0)
    assert (sending.problem, sending.to_send(59.0)) == ("bad_size", [])
    assert sending.to_send(60.0) == [Words("init", b"{}")]


def test_a_sealed_answer_ends_it(tmp_path):
    """An offer of what is sealed already is answered with its receipt: nothing is sent twice."""

    async def twice() -> None:
        lab = Lab(tmp_path)
        async with lab.running() as sink:
            peer, content = Peer(sink), noise(1000)
            for _ in range(2):
                sending = Sending(1000, sha(content), offer(content))
                sent = []
                while sending.receipt is None:
                    for command in sending.to_send(0.0):
                        sent.append(command)
                        for said in await peer.say(*wired(content, command)):
                            sending.hear(read_answer(said), 0.0)
            assert sent == [Words("init", offer(content))]
            assert isinstance(await sink.state(wire.key_of(wire.parse(f"{TOPIC}/status", b""))), Sealed)

    asyncio.run(twice())
