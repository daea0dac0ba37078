"""Each file operation of an upload's life fails once, before or after it took effect."""

from __future__ import annotations

import pytest

from gateway.domain.evidence import Sealed
from gateway.errors import StoreBusyError
from tests.evidence.vault.lab import KEY, FaultyFiles, Lab, fin, noise, offer, pieces

CLIP = noise(200_000)
PARTS = pieces(CLIP, 40_000)
ORDERS = {"in_order": [0, 1, 2, 3, 4], "shuffled": [3, 0, 4, 2, 1]}


async def persist(call):
    """Ask until the disk obliges, as a camera does; how often it was busy."""
    for _ in range(4):
        try:
            return await call()
        except StoreBusyError:
            continue
    raise AssertionError("busy for ever")


async def life(lab, order, *, restart: bool) -> Sealed:
    """An upload from its offer to its receipt, asking again whatever was refused."""
    told: tuple = ()
    async with lab.running() as sink:
        await persist(lambda: sink.begin(offer(CLIP)))
        for place in order:
            told = (await persist(lambda place=place: sink.keep(PARTS[place]))).durable
        if not restart:
            return await persist(lambda: sink.finish(fin(CLIP)))
    lab_after = lab.running()
    async with lab_after as sink:
        state = await persist(lambda: sink.begin(offer(CLIP)))
        assert state.durable == told
        return await persist(lambda: sink.finish(fin(CLIP)))


async def count(tmp_path, order, *, restart):
    """How many operations a life takes when none fails, and where the first start's end."""
    lab = Lab(tmp_path / "count", FaultyFiles())
    async with lab.running():
        opening = len(lab.files.calls)
    lab.files.calls.clear()
    await life(lab, order, restart=restart)
    return opening, len(lab.files.calls)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("after", [False, True])
async def test_every_operation_failing_once(tmp_path, order, restart, after):
    """Sealed byte-exact and exactly once, nothing told durable is lost, no nonce used twice."""
    opening, total = await count(tmp_path, ORDERS[order], restart=restart)
    for number in range(opening, total):
        lab = Lab(tmp_path / str(number), FaultyFiles())
        lab.files.fail_at, lab.files.after = number, after
        try:
            sealed = await life(lab, ORDERS[order], restart=restart)
        except OSError:
            # Only a start may fail as a whole: whoever starts it tries again.
            assert restart
            sealed = await resumed(lab)
        where = f"{number}: {lab.files.calls[number]}"
        assert lab.content(sealed.exhibit) == CLIP, where
        assert lab.log.kinds(sealed.exhibit) == ["receive", "seal"], where
        assert lab.law.broken == [], where
        async with lab.running():
            assert lab.staged() == [], where
            assert len(lab.blobs()) == 1, where
            assert lab.keyring.secrets.keys() == {f"identity/{sealed.exhibit}"}, where


async def resumed(lab) -> Sealed:
    """A second start after one that failed."""
    async with lab.running() as sink:
        assert (await sink.begin(offer(CLIP))).durable == ((0, len(CLIP)),)
        return await sink.finish(fin(CLIP))


async def left(lab, *, restart: bool) -> Sealed:
    """An upload with a gap that is abandoned, by the camera or after a restart by its idleness."""
    async with lab.running() as sink:
        await persist(lambda: sink.begin(offer(CLIP)))
        for place in (0, 1, 3):
            await persist(lambda place=place: sink.keep(PARTS[place]))
        if not restart:
            return await persist(lambda: sink.abandon(KEY))
    async with lab.running() as sink:
        lab.clock.seconds += 36 * 86400
        while not isinstance(await persist(lambda: sink.state(KEY)), Sealed):
            await sink.expire()
        return await persist(lambda: sink.state(KEY))


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("after", [False, True])
async def test_every_operation_of_an_abandoned_upload_failing_once(tmp_path, restart, after):
    """What came is sealed exactly once, with zeros in the gap, and nothing is left of it elsewhere."""
    counted = Lab(tmp_path / "count", FaultyFiles())
    async with counted.running():
        opening = len(counted.files.calls)
    counted.files.calls.clear()
    await left(counted, restart=restart)
    for number in range(opening, len(counted.files.calls)):
        lab = Lab(tmp_path / str(number), FaultyFiles())
        lab.files.fail_at, lab.files.after = number, after
        try:
            sealed = await left(lab, restart=restart)
        except OSError:
            assert restart  # only a start may fail as a whole: whoever starts it tries again
            async with lab.running() as sink:
                sealed = await sink.abandon(KEY)
        where = f"{number}: {lab.files.calls[number]}"
        assert lab.content(sealed.exhibit) == CLIP[:80_000] + bytes(40_000) + CLIP[120_000:160_000], where
        assert lab.log.kinds(sealed.exhibit) == ["receive", "seal"], where
        assert lab.law.broken == [], where
        async with lab.running():
            assert (lab.staged(), len(lab.blobs())) == ([], 1), where


@pytest.mark.parametrize("order", ORDERS)
async def test_death_after_every_operation(tmp_path, order):
    """From some operation on all fail, as when the process dies; the next start goes on from there."""
    _, total = await count(tmp_path, ORDERS[order], restart=False)

    class Dying(FaultyFiles):
        dies_at = 1 << 30

        def _ask(self, name, act):
            self.full = len(self.calls) >= self.dies_at
            if self.full:
                self.calls.append(name)
                raise OSError(5, "dead")
            return super()._ask(name, act)

    for number in range(5, total):
        lab = Lab(tmp_path / f"d{number}", Dying())
        lab.files.dies_at = number
        told, sealed = (), None
        sink = lab.recordings()
        try:
            await sink.open()
            told = (await sink.begin(offer(CLIP))).durable
            for place in ORDERS[order]:
                told = (await sink.keep(PARTS[place])).durable
            sealed = await sink.finish(fin(CLIP))
        except (StoreBusyError, OSError):
            pass
        await sink.close()
        lab.files.dies_at, lab.files.full = 1 << 30, False
        async with lab.running() as sink:
            state = await sink.state(KEY)
            assert sealed is None or state == sealed
            for start, end in () if isinstance(state, Sealed) else told:
                assert any(a <= start and end <= b for a, b in state.durable), number
            if not isinstance(state, Sealed):
                await sink.begin(offer(CLIP))
                for part in PARTS:
                    await sink.keep(part)
                state = await sink.finish(fin(CLIP))
        assert lab.content(state.exhibit) == CLIP
        assert lab.log.kinds().count("seal") == 1
        assert lab.law.broken == []
        assert lab.staged() == []
