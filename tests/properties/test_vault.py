"""Any interleaving of segments, restarts and power cuts seals byte-exact, once, and uses no nonce twice."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.evidence import Sealed, Segment
from gateway.errors import SegmentError, StoreBusyError
from tests.evidence.vault.lab import KEY, FaultyFiles, Lab, fin, leaf_of, noise, offer, sha

SIZE = 300_000
CLIP = noise(SIZE)

spans = st.tuples(st.integers(0, SIZE - 1), st.integers(1, 150_000)).map(lambda s: (s[0], min(SIZE, s[0] + s[1])))
keep = st.tuples(st.just("keep"), spans)
burst = st.tuples(st.just("burst"), st.lists(spans, min_size=2, max_size=6))
in_order = st.tuples(st.just("in_order"), st.sampled_from([3_000, 65_536, 100_000]))
conflict = st.tuples(st.just("conflict"), spans)
restart = st.tuples(st.just("restart"), st.none())
again = st.tuples(st.just("again"), st.none())
hiccup = st.tuples(st.just("hiccup"), st.integers(0, 8))
steps = st.lists(st.one_of(keep, keep, burst, in_order, conflict, restart, again, hiccup), max_size=14)


class Run:
    """One recording's life; what was told durable is remembered and never asked for again."""

    def __init__(self, root: Path) -> None:
        self.files = FaultyFiles()
        self.lab = Lab(root, self.files)
        self.told: set[tuple[int, int]] = set()
        self.sink = None

    async def start(self) -> None:
        """A new process: everything told durable must still be there."""
        self.sink = self.lab.recordings()
        await self.sink.open()
        self.check(await self.sink.begin(offer(CLIP)))

    def check(self, state) -> None:
        """Durable ranges never shrink."""
        for start, end in self.told:
            assert any(a <= start and end <= b for a, b in state.durable), (start, end, state.durable)
        self.told = set(state.durable)

    async def keep(self, span) -> None:
        """One segment; a disk that refuses acknowledges nothing."""
        try:
            self.check(await self.sink.keep(Segment(KEY, span[0], CLIP[slice(*span)])))
        except StoreBusyError:
            assert self.files.fail_at is not None

    async def do(self, name, word) -> None:
        """One step."""
        match name:
            case "keep":
                await self.keep(word)
            case "burst":
                async with asyncio.TaskGroup() as group:
                    for span in word:
                        group.create_task(self.sink.keep(Segment(KEY, span[0], CLIP[slice(*span)])))
            case "in_order":
                first = next(iter((await self.sink.state(KEY)).missing), (SIZE, SIZE))[0]
                await self.keep((first, min(SIZE, first + word)))
            case "conflict":
                await self.conflict(word)
            case "restart":
                await self.sink.close()
                await self.start()
            case "again":
                self.check(await self.sink.begin(offer(CLIP)))
            case "hiccup":
                self.files.fail_at = len(self.files.calls) + word
                await self.keep((0, SIZE))
                self.files.fail_at = None

    async def conflict(self, span) -> None:
        """Other bytes: refused where they overlap what is there."""
        start, end = span
        wrong = bytes(byte ^ 1 for byte in CLIP[start:end])
        state = await self.sink.state(KEY)
        if any(a < end and start < b for a, b in state.durable):
            try:
                await self.sink.keep(Segment(KEY, start, wrong))
            except SegmentError:
                return
            raise AssertionError("a conflict passed")

    async def end(self) -> Sealed:
        """Send what is missing, and fin."""
        state = await self.sink.finish(fin(CLIP))
        while not isinstance(state, Sealed):
            for span in state.missing:
                await self.keep(span)
            state = await self.sink.finish(fin(CLIP))
        await self.sink.close()
        return state


async def live(script) -> None:
    """Live a script to the seal, and look at everything from outside."""
    with tempfile.TemporaryDirectory() as directory:
        run = Run(Path(directory))
        await run.start()
        for name, word in script:
            await run.do(name, word)
        sealed = await run.end()
        lab, leaf = run.lab, leaf_of(sealed)
        assert lab.content(sealed.exhibit) == CLIP
        assert (leaf["sha256"], leaf["size"], leaf["complete"]) == (sha(CLIP), SIZE, True)
        assert leaf["blob_sha256"] == sha(lab.blobs()[0].read_bytes())
        assert lab.log.kinds() == ["receive", "seal"]
        assert lab.staged() == []
        assert len(lab.blobs()) == 1
        assert lab.keyring.secrets.keys() == {f"identity/{sealed.exhibit}"}
        assert set(sealed.flags) <= {"segment_conflict"}
        assert lab.law.broken == []


@pytest.mark.timeout(600)
@given(steps)
def test_any_interleaving_seals_byte_exact_once(script):
    """Whatever order, overlap, duplicate, restart or refused write came between."""
    asyncio.run(live(script))


@settings(max_examples=60)
@given(steps, st.data())
def test_a_torn_tail_costs_only_what_was_never_told(script, data):
    """Files cut behind their last sync, as a power cut leaves them: the told ranges are there."""

    async def cut() -> None:
        with tempfile.TemporaryDirectory() as directory:
            run = Run(Path(directory) / "a")
            await run.start()
            for name, word in script:
                await run.do(name, word)
            copied = Lab(Path(directory) / "b")
            shutil.copytree(run.lab.root, copied.root)
            copied.log, copied.keyring = run.lab.log, run.lab.keyring
            for path in sorted((copied.root / "staging").rglob("*.*")):
                with path.open("ab") as file:  # what a batch had written when the power went
                    file.write(data.draw(st.binary(max_size=40)))
            async with copied.running() as sink:
                state = await sink.state(KEY)
                for start, end in run.told:
                    assert any(a <= start and end <= b for a, b in state.durable)
            await run.sink.close()

    asyncio.run(cut())
