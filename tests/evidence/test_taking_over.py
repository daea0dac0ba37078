"""A part taken over: a crash or a full disk half way, a camera that has it copied for nothing, what its flags say."""

from __future__ import annotations

import errno
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from gateway.domain.evidence import Act, Segment, UploadState
from gateway.errors import EvidenceError, IntegrityError, StoreBusyError
from gateway.evidence.recordings import Recordings
from tests.evidence.vault.lab import KEY, MIB, FaultyFiles, Lab, fin, noise, offer, pieces, sha

FILM = noise(3 * MIB + 4321)
CUT = 2 * MIB + 99
BARE = offer(started_at=None)


class KilledError(Exception):
    """The process is gone, as far as the copy can tell."""


class Archive(Lab):
    """A lab whose log tells the details of its seals."""

    def recordings(self) -> Recordings:
        """As a new process makes it."""
        sink = super().recordings()
        told = SimpleNamespace(detail=lambda index: (self.log.entries[index].detail, b""))
        sink._needs = msgspec.structs.replace(sink._needs, details=told)
        return sink


@pytest.fixture
def lab(tmp_path: Path):
    """A vault, and at the end: no nonce was ever used twice."""
    made = Archive(tmp_path, FaultyFiles())
    yield made
    assert made.law.broken == []


async def sealed_in_part(sink: Recordings) -> Any:
    """The film without its end, sealed."""
    await sink.begin(offer(FILM))
    for piece in pieces(FILM[:CUT], 300_000):
        await sink.keep(piece)
    return await sink.abandon(KEY)


async def asks(sink: Recordings, how: str) -> Any:
    """Whatever a camera may ask first."""
    if how == "begin":
        return await sink.begin(offer(FILM))
    if how == "keep":
        return await sink.keep(Segment(KEY, CUT, FILM[CUT : CUT + 1]))
    if how == "finish":
        return await sink.finish(fin(FILM))
    return await sink.state(KEY)


def breaking_after(sink: Recordings, steps: int, wrong: Exception) -> None:
    """Reading a part stops after so many steps of a MiB."""
    whole = sink.reader.stream

    async def stream(*span: Any):
        count = itertools.count()
        async for piece in whole(*span):
            if next(count) == steps:
                raise wrong
            yield piece

    sink.reader.stream = stream  # type: ignore[method-assign]


@pytest.mark.parametrize("how", ["begin", "keep", "finish", "state"])
@pytest.mark.parametrize("steps", [0, 1, 2])
async def test_a_process_that_dies_in_the_middle_of_the_copy(lab: Archive, how: str, steps: int) -> None:
    """The next one finishes it before it tells anything: no byte that was durable is missing."""
    async with lab.running() as sink:
        await sealed_in_part(sink)
    async with lab.running() as sink:
        breaking_after(sink, steps, KilledError())
        with pytest.raises(KilledError):
            await asks(sink, "begin")
    async with lab.running() as sink:
        state = await asks(sink, how)
        assert isinstance(state, UploadState)
        assert state.durable[0][1] >= CUT, "asked again for what was called durable"
        await sink.keep(Segment(KEY, CUT, FILM[CUT:]))
        assert (await sink.finish(fin(FILM))).sha256 == sha(FILM)


@pytest.mark.parametrize("how", ["begin", "keep", "finish", "state"])
async def test_a_full_disk_in_the_middle_of_the_copy(lab: Archive, how: str) -> None:
    """Busy, for whoever asks, until there is room; then all of it is there, in the same upload."""
    async with lab.running() as sink:
        await sealed_in_part(sink)
        stream = sink.reader.stream

        async def filling(*span: Any):
            async for piece in stream(*span):
                yield piece
                lab.files.full = True

        sink.reader.stream = filling  # type: ignore[method-assign]
        for asked in ("begin", "begin", how):
            with pytest.raises(StoreBusyError):
                await asks(sink, asked)
        lab.files.full, sink.reader.stream = False, stream  # type: ignore[method-assign]
        state = await asks(sink, how)
        assert state.durable[0][1] >= CUT
    assert len(lab.staged()) == 1


@pytest.mark.parametrize("wrong", [IntegrityError("rotten"), FileNotFoundError(errno.ENOENT, "gone")])
async def test_a_part_that_rots_in_the_middle_is_left_out(lab: Archive, wrong: Exception) -> None:
    """What could be read is there, what comes now is kept; it is tried once."""
    async with lab.running() as sink:
        await sealed_in_part(sink)
        breaking_after(sink, 1, wrong)
        assert (await asks(sink, "begin")).durable == ((0, MIB),)
        assert (await asks(sink, "keep")).durable == ((0, MIB), (CUT, CUT + 1))


async def test_a_camera_cannot_have_it_copied_without_end(lab: Archive) -> None:
    """Init, a byte, abort, over and over: what is written stays within a rate; later it goes on from all of it."""
    lab.settings = msgspec.structs.replace(
        lab.settings, limits=msgspec.structs.replace(lab.settings.limits, camera_mb_s=1)
    )
    rounds, copies, waits_s = 200, 0, [1]
    async with lab.running() as sink:
        for piece in pieces(FILM[:CUT], 300_000):
            lab.clock.seconds += 1
            await sink.keep(piece)
        await sink.abandon(KEY)
        began_s = lab.clock.seconds
        for _ in range(rounds):
            lab.clock.seconds += 0.1
            try:
                await sink.begin(BARE)
                await sink.keep(Segment(KEY, CUT + copies, FILM[CUT + copies :][:1]))
                await sink.abandon(KEY)
                copies += 1
            except StoreBusyError as busy:
                waits_s.append(busy.retry_after_s)
        spent_s = lab.clock.seconds - began_s
        assert 1 <= copies <= (60 + spent_s) * 1e6 / CUT + 1
        assert copies < rounds / 2
        assert min(waits_s) >= 1
        assert sink.shares.counters["held_by_copies"] > 0
        lab.clock.seconds += 600
        assert (await sink.begin(BARE)).durable[0] == (0, CUT + copies)


async def test_a_part_that_does_not_fit_is_not_begun(lab: Archive) -> None:
    """The reserve counts the copy beforehand: busy, and nothing lies in staging."""
    async with lab.running() as sink:
        await sealed_in_part(sink)
        lab.files.free = MIB
        lab.clock.seconds += 2
        with pytest.raises(EvidenceError, match="disk_reserve"):
            await asks(sink, "begin")
        assert lab.staged() == []


async def test_what_restricts_the_part_restricts_the_whole(lab: Archive) -> None:
    """Whose bytes are in it was revoked then: that the camera stands again settles nothing. Settled is settled."""
    async with lab.running() as sink:
        part = await sealed_in_part(sink)
        flags = ["holder_unknown", "device_revoked"]
        await lab.log.record(Act("amend", "cli:test", part.exhibit, detail={"flags": flags}))
        lab.log.exhibits[part.exhibit] = msgspec.structs.replace(
            lab.log.exhibits[part.exhibit], flags=tuple(flags), log_index=part.log_index
        )
        await sink.begin(offer(FILM))
    async with lab.running() as sink:
        await sink.keep(Segment(KEY, CUT, FILM[CUT:]))
        whole = await sink.finish(fin(FILM))
    assert set(whole.flags) == {"late_segments", "device_revoked"}
