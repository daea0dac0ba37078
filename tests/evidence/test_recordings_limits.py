"""Recordings where room, memory, log, keys or time run out: busy, bounded, sealed once, and nothing lost."""

from __future__ import annotations

import asyncio

import pytest

from gateway.domain.evidence import RecordingKey, RecordingOffer, Sealed, Segment
from gateway.domain.ids import DeviceId
from gateway.errors import IntegrityError, StoreBusyError
from tests.evidence.test_recordings import CLIP, lab, send
from tests.evidence.vault.lab import (
    KEY,
    MIB,
    fin,
    noise,
    offer,
    pieces,
    recording_settings,
)

__all__ = ["lab"]


async def test_the_reserve_stops_segments_and_lets_go_again(lab):
    """StoreBusyError with a time; nothing counted durable; it resumes by itself when space returns."""
    lab.settings = recording_settings(reserve_mb=100)
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await sink.keep(pieces(CLIP, MIB)[0])
        lab.files.free, lab.clock.seconds = 99 * MIB, 2.0
        with pytest.raises(StoreBusyError, match="disk_reserve") as refused:
            await sink.keep(pieces(CLIP, MIB)[1])
        assert refused.value.retry_after_s == 30
        with pytest.raises(StoreBusyError):
            await sink.begin(RecordingOffer(RecordingKey(DeviceId("cam-2"), "x"), "x"))
        assert (await sink.state(KEY)).durable == ((0, MIB),)
        lab.files.free, lab.clock.seconds = 101 * MIB, 4.0
        await send(sink, CLIP)
        assert isinstance(await sink.finish(fin(CLIP)), Sealed)
        assert sink.counters["busy"] == 2


async def test_a_full_disk_is_busy_and_loses_nothing(lab):
    """Writes fail for a while; what was durable stays so, what was not is asked for again."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await sink.keep(pieces(CLIP, MIB)[0])
        lab.files.full = True
        for _ in range(3):
            with pytest.raises(StoreBusyError):
                await sink.keep(pieces(CLIP, MIB)[1])
        assert (await sink.state(KEY)).durable == ((0, MIB),)
        lab.files.full = False
        # What the camera sends now may differ from what failed: it was never acknowledged.
        changed = CLIP[:MIB] + noise(len(CLIP) - MIB, 5)
        await send(sink, changed)
        sealed = await sink.finish(fin(changed))
    assert lab.content(sealed.exhibit) == changed
    assert sealed.flags == ("checksum_mismatch",)


async def test_the_window_shrinks_as_uploads_grow_in_number(lab):
    """min(8 MiB, memory / uploads), at least 1 MiB."""
    lab.settings = recording_settings(reserve_mb=0, memory_mb=8)
    async with lab.running() as sink:
        told = [
            (await sink.begin(RecordingOffer(RecordingKey(DeviceId(f"cam-{n}"), "r"), "r"))).window_bytes
            for n in range(10)
        ]
    assert told[0] == 8 * MIB
    assert told[3] == 2 * MIB
    assert told[9] == MIB


async def test_memory_in_flight_is_bounded(lab):
    """Segments beyond the budget wait their turn; none is dropped."""
    lab.settings = recording_settings(reserve_mb=0, memory_mb=1)
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        async with asyncio.TaskGroup() as group:
            for piece in pieces(CLIP, 400_000):
                group.create_task(sink.keep(piece))
            await asyncio.sleep(0)
            assert sink._committer._octets <= MIB
        assert (await sink.state(KEY)).missing == ()


async def test_many_recordings_at_once(lab):
    """Each its own exhibit, each byte for byte."""
    keys = [RecordingKey(DeviceId(f"cam-{n}"), "r") for n in range(12)]

    async def one(sink, seed, key):
        content = noise(150_000 + seed, seed)
        await sink.begin(offer(content, key=key))
        async with asyncio.TaskGroup() as group:
            for piece in pieces(content, 30_000, key):
                group.create_task(sink.keep(piece))
        return (await sink.finish(fin(content, key))), content

    async with lab.running() as sink, asyncio.TaskGroup() as group:
        done = [group.create_task(one(sink, seed, key)) for seed, key in enumerate(keys)]
    for task in done:
        sealed, content = task.result()
        assert lab.content(sealed.exhibit) == content
    assert len({task.result()[0].exhibit for task in done}) == 12
    assert lab.log.kinds().count("seal") == 12


async def test_two_fins_at_once_seal_once(lab):
    """A fin sent twice gets the same receipt twice."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP)
        one, two = await asyncio.gather(sink.finish(fin(CLIP)), sink.finish(fin(CLIP)))
    assert one == two
    assert lab.log.kinds() == ["receive", "seal"]


async def test_a_caller_that_goes_away_leaves_the_seal_running(lab):
    """A driver restarted amid a seal: the recording is sealed all the same, once."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await sink.finish(fin(CLIP))
    assert lab.log.kinds() == ["receive", "seal"]


@pytest.mark.parametrize("kind", ["receive", "seal"])
@pytest.mark.parametrize("how", ["refuse", "lose"])
@pytest.mark.parametrize("restart", [False, True])
async def test_a_log_that_fails_amid_a_seal(lab, kind, how, restart):
    """Refused before the commit or lost after it: asked again, or after a restart, it is sealed exactly once."""
    getattr(lab.log, how).append(kind)
    async with lab.running() as sink:
        for attempt in range(3):
            try:
                await sink.begin(offer(CLIP))
                await send(sink, CLIP)
                sealed = await sink.finish(fin(CLIP))
                break
            except StoreBusyError:
                if restart and attempt == 0:
                    break
    if restart:
        async with lab.running() as sink:
            await sink.begin(offer(CLIP))
            await send(sink, CLIP)
            sealed = await sink.finish(fin(CLIP))
    assert lab.content(sealed.exhibit) == CLIP
    assert lab.log.kinds() == ["receive", "seal"]
    assert lab.staged() == []


async def test_a_staged_record_that_rotted_stops_the_seal(lab):
    """What was durable and no longer opens is an integrity failure; staging is left as it is, others go on."""
    other = RecordingKey(DeviceId("cam-2"), "r")
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        for piece in reversed(pieces(CLIP, 300_000)):
            if piece.offset:
                await sink.keep(piece)
        run = lab.root / "staging" / lab.staged()[0] / "run-0.rec"
        content = bytearray(run.read_bytes())
        content[-500_000] ^= 1
        run.write_bytes(content)
        await sink.keep(pieces(CLIP, 300_000)[0])
        with pytest.raises(IntegrityError, match=r"X-"):
            await sink.finish(fin(CLIP))
        await sink.begin(offer(CLIP, key=other))
        await send(sink, CLIP, key=other)
        assert isinstance(await sink.finish(fin(CLIP, other)), Sealed)
    assert len(lab.staged()) == 1


async def test_staging_whose_keys_are_gone_is_left_in_place(lab):
    """Counted and loud, never removed: with its keys back it opens."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP[:MIB])
    kept, lab.keyring.secrets = lab.keyring.secrets, {}
    async with lab.running() as sink:
        assert sink.counters["unreadable"] == 1
        assert await sink.state(KEY) is None
    lab.keyring.secrets = kept
    async with lab.running() as sink:
        assert (await sink.state(KEY)).durable == ((0, MIB),)


async def test_open_and_close_may_be_repeated(lab):
    """Idempotent both; before open and after close the sink is busy, not broken."""
    sink = lab.recordings()
    await sink.close()
    with pytest.raises(StoreBusyError):
        await sink.begin(offer(CLIP))
    await sink.open()
    await sink.open()
    await sink.begin(offer(CLIP))
    await sink.close()
    await sink.close()
    for call in (sink.begin(offer(CLIP)), sink.keep(Segment(KEY, 0, b"x")), sink.finish(fin(CLIP))):
        with pytest.raises(StoreBusyError):
            await call


@pytest.mark.parametrize("failing", range(6))
async def test_a_keyring_that_refuses_once(lab, failing):
    """keys.db on a full disk is busy, too: asked again, all goes on, and nothing is sealed twice."""
    calls = iter(range(1000))

    def refusing(put):
        def ask(*words):
            if next(calls) == failing:
                raise StoreBusyError("keys.db: full")
            return put(*words)

        return ask

    lab.keyring.put, lab.keyring.delete = refusing(lab.keyring.put), refusing(lab.keyring.delete)
    for last in (False, True):
        async with lab.running() as sink:
            sealed = await persistent(sink, last=last)
    assert lab.content(sealed.exhibit) == CLIP
    async with lab.running():
        assert lab.staged() == []
    assert lab.log.kinds(sealed.exhibit) == ["receive", "seal"]


async def persistent(sink, *, last):
    """A camera that asks again; it seals on its last visit."""
    for _ in range(3):
        try:
            await sink.begin(offer(CLIP))
            await send(sink, CLIP if last else CLIP[:MIB], 200_000)
            return await sink.finish(fin(CLIP)) if last else None
        except StoreBusyError:
            continue
    raise AssertionError("busy for ever")


@pytest.mark.parametrize("turns", range(6))
async def test_segments_between_two_fins(lab, turns):
    """A fin told `incomplete`, the segment it lacked and the next fin, all at once: never a byte behind the seal."""
    parts = pieces(CLIP, 300_000)

    async def later(call):
        for _ in range(turns):
            await asyncio.sleep(0)
        return await call

    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        for piece in parts[:-1]:
            await sink.keep(piece)
        _, kept, _, _ = await asyncio.gather(
            sink.finish(fin(CLIP)), later(sink.keep(parts[-1])), sink.keep(parts[0]), later(sink.finish(fin(CLIP)))
        )
        assert kept.durable == ((0, len(CLIP)),)
        sealed = await sink.finish(fin(CLIP))
    assert lab.content(sealed.exhibit) == CLIP
    assert lab.log.kinds() == ["receive", "seal"]


@pytest.mark.parametrize("turns", range(6))
async def test_the_first_segment_meets_an_abort(lab, turns):
    """Whoever is first: an acknowledged segment is never in a staging that is gone."""

    async def later(call):
        for _ in range(turns):
            await asyncio.sleep(0)
        return await call

    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        _, state = await asyncio.gather(sink.abandon(KEY), later(sink.keep(pieces(CLIP, 1000)[0])))
        assert state.durable[0][0] == 0
        sealed = await sink.abandon(KEY)
    assert lab.content(sealed.exhibit) == CLIP[:1000]
