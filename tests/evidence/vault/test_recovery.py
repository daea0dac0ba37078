"""What a start makes of staging as it may be found."""

from __future__ import annotations

import pytest

from gateway.domain.evidence import RecordingKey, RecordingOffer, Sealed, Segment
from gateway.domain.ids import DeviceId
from tests.evidence.vault.lab import KEY, MIB, FaultyFiles, Lab, fin, noise, offer, pieces

CLIP = noise(MIB + 77)
OTHER = RecordingKey(DeviceId("cam-2"), "r")


@pytest.fixture
async def lab(tmp_path):
    """A vault with an upload half done: chunks, a tail, a piece out of order."""
    lab = Lab(tmp_path, FaultyFiles())
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        for piece in pieces(CLIP, 100_000)[:5]:
            await sink.keep(piece)
        await sink.keep(pieces(CLIP, 100_000)[8])
    return lab


def staging(lab):
    """The one upload's directory."""
    (name,) = lab.staged()
    return lab.root / "staging" / name


async def finished(lab) -> Sealed:
    """Send everything and seal."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        for piece in pieces(CLIP, 100_000):
            await sink.keep(piece)
        return await sink.finish(fin(CLIP))


@pytest.mark.parametrize("begun", ["empty", "header", "torn offer", "blob only"])
async def test_an_offer_torn_by_a_crash_is_cleared(lab, begun):
    """Nothing was acknowledged: no litter is left, the others stay."""
    torn = lab.root / "staging" / "X-000000000000"
    torn.mkdir()
    match begun:
        case "header":
            (torn / "run-0.rec").write_bytes(b"LAPELRUN1\n")
        case "torn offer":
            (torn / "run-0.rec").write_bytes(b"LAPELRUN1\n" + b"\xff" * 8 + b"\0\0\1\0" + b"x" * 100)
        case "blob only":
            (torn / "blob.age").write_bytes(b"age-encryption.org/v1\n")
    lab.keyring.put("identity/X-000000000000", bytes(32))
    async with lab.running():
        assert "X-000000000000" not in lab.staged()
        assert len(lab.staged()) == 1
    assert lab.keyring.get("identity/X-000000000000") is None
    assert lab.content((await finished(lab)).exhibit) == CLIP


async def test_a_header_that_does_not_open_costs_the_chunks_alone(lab):
    """Records still count; the rest is asked for again."""
    blob = staging(lab) / "blob.age"
    blob.write_bytes(b"X" + blob.read_bytes()[1:])
    async with lab.running() as sink:
        state = await sink.state(KEY)
        assert (800_000, 900_000) in state.durable
        assert state.durable[0][0] > 0
    assert lab.content((await finished(lab)).exhibit) == CLIP


async def test_a_run_file_of_a_start_that_failed_is_passed_over(lab):
    """A later run file without a whole first note holds nothing."""
    (staging(lab) / "run-1.rec").write_bytes(b"LAPELRUN1\n\0\0")
    before = (0, 500_000), (800_000, 900_000)
    async with lab.running() as sink:
        assert (await sink.state(KEY)).durable == before
        await sink.keep(Segment(KEY, 500_000, CLIP[500_000:600_000]))
        assert (staging(lab) / "run-2.rec").exists()
    assert lab.content((await finished(lab)).exhibit) == CLIP


@pytest.mark.parametrize("octets", [500, 300_000])
@pytest.mark.parametrize("restart", [False, True])
async def test_what_a_failed_write_left_does_not_count(lab, octets, restart):
    """A write fails but its bytes reach the disk (as a record, as chunks); the camera then sends others."""
    end, changed = 200_000 + octets, noise(octets, 7)
    async with lab.running() as sink:
        await sink.begin(RecordingOffer(OTHER, "r"))
        await sink.keep(Segment(OTHER, 0, CLIP[:200_000]))
        lab.files.calls.clear()
        lab.files.fail_at, lab.files.after = 1 if octets == 500 else 2, True
        with pytest.raises(Exception, match="injected after datasync"):
            await sink.keep(Segment(OTHER, 200_000, CLIP[200_000:end]))
        await sink.keep(Segment(OTHER, 200_000, changed))
        if not restart:
            sealed = await sink.abandon(OTHER)
    if restart:
        async with lab.running() as sink:
            assert (await sink.state(OTHER)).durable == ((0, end),)
            sealed = await sink.abandon(OTHER)
    assert lab.content(sealed.exhibit) == CLIP[:200_000] + changed
    assert lab.law.broken == []


async def test_two_uploads_of_one_id_keep_that_which_holds_more(lab):
    """An offer that failed half way left an empty one: it is ended, the other goes on."""
    spare = Lab(lab.root.parent / "spare")
    spare.keyring, spare.log = lab.keyring, lab.log
    async with spare.running() as sink:
        await sink.begin(offer(CLIP))
    (name,) = spare.staged()
    (spare.root / "staging" / name).rename(lab.root / "staging" / name)
    async with lab.running() as sink:
        assert (await sink.state(KEY)).durable[0] == (0, 500_000)
        assert len(lab.staged()) == 1
    assert name not in lab.staged()
    assert lab.content((await finished(lab)).exhibit) == CLIP


async def test_a_start_syncs_what_it_finds_before_it_counts(lab):
    """After kill -9 the page cache may hold what no disk does."""
    lab.files.calls.clear()
    async with lab.running():
        assert lab.files.calls.count("datasync") >= 2


async def test_a_seal_that_waits_is_gone_on_with_at_the_start(lab):
    """The intent is on disk; the camera need not ask again."""
    lab.log.refuse.append("seal")
    with pytest.raises(Exception, match="log: no space"):
        await finished(lab)
    async with lab.running() as sink:
        state = await sink.state(KEY)
        assert isinstance(state, Sealed)
        assert sink.counters["recovered"] == 1
    assert lab.content(state.exhibit) == CLIP
    assert lab.log.kinds() == ["receive", "seal"]


async def test_a_seal_that_waits_is_gone_on_with_by_expire_or_a_new_offer(lab):
    """Also within one process, without a fin; segments meanwhile are told to wait."""
    lab.log.refuse += ["seal", "seal"]
    async with lab.running() as sink:
        for piece in pieces(CLIP, 100_000):
            await sink.keep(piece)
        with pytest.raises(Exception, match="log: no space"):
            await sink.finish(fin(CLIP))
        with pytest.raises(Exception, match="being sealed"):
            await sink.keep(pieces(CLIP, 100_000)[0])
        with pytest.raises(Exception, match="log: no space"):
            await sink.begin(offer(CLIP))
        assert await sink.expire() == 1
        assert isinstance(await sink.begin(offer(CLIP)), Sealed)
    assert lab.log.kinds() == ["receive", "seal"]
