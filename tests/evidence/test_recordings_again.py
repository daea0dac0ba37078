"""Recordings offered again, under a used id, abandoned, late, or never offered: nothing that came is lost."""

from __future__ import annotations

import pytest

from gateway.domain.evidence import RecordingKey, RecordingOffer, Sealed, Segment
from gateway.domain.ids import DeviceId
from gateway.errors import SegmentError
from tests.evidence.test_recordings import CLIP, lab, send
from tests.evidence.vault.lab import (
    KEY,
    MIB,
    fin,
    leaf_of,
    noise,
    offer,
    pieces,
    sha,
)

__all__ = ["lab"]


async def test_offered_again_while_open_is_the_same_upload(lab):
    """The same state; what the later offer adds is kept over a restart."""
    async with lab.running() as sink:
        await sink.begin(offer())
        await send(sink, CLIP[:MIB])
        state = await sink.begin(offer(CLIP, user_data={"trigger": "button"}))
        assert (state.size, state.durable) == (len(CLIP), ((0, MIB),))
    async with lab.running() as sink:
        assert (await sink.state(KEY)).size == len(CLIP)
        await send(sink, CLIP)
        await sink.finish(fin(CLIP))
    assert lab.log.details("seal")[0]["user_data"] == {"trigger": "button"}
    assert lab.log.kinds() == ["receive", "seal"]


@pytest.mark.parametrize("restart", [False, True])
async def test_offered_again_when_sealed_is_the_same_receipt(lab, restart):
    """By checksum, or by size where none is stated; also for a fin, a status, a segment sent once more."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP)
        sealed = await sink.finish(fin(CLIP))
        if not restart:
            await same_receipt(sink, sealed)
    if restart:
        async with lab.running() as sink:
            await same_receipt(sink, sealed)
    assert lab.log.kinds() == ["receive", "seal"]


async def same_receipt(sink, sealed):
    """Every way of asking gives this receipt."""
    assert await sink.begin(offer(CLIP)) == sealed
    assert await sink.begin(offer(CLIP, checksum=None)) == sealed
    assert await sink.begin(offer()) == sealed
    assert await sink.finish(fin(CLIP)) == sealed
    assert await sink.state(KEY) == sealed
    assert await sink.abandon(KEY) == sealed
    assert (await sink.keep(pieces(CLIP, MIB)[1])).durable == ((0, len(CLIP)),)
    with pytest.raises(SegmentError, match="segment_conflict"):
        await sink.keep(Segment(KEY, 5, b"other"))
    with pytest.raises(SegmentError, match="beyond_size"):
        await sink.keep(Segment(KEY, len(CLIP), b"more"))


async def test_another_recording_under_a_used_id_is_a_second_exhibit(lab):
    """A camera whose numbering restarted loses nothing, and the exhibit says so."""
    other = noise(MIB, 9)
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP)
        first = await sink.finish(fin(CLIP))
        await sink.begin(offer(other))
        await send(sink, other)
        second = await sink.finish(fin(other))
        assert second.exhibit != first.exhibit
        assert second.flags == ("recording_id_reused",)
        assert await sink.begin(offer(CLIP)) == first
        assert await sink.begin(offer(other)) == second
    assert lab.content(first.exhibit) == CLIP
    assert lab.content(second.exhibit) == other


async def test_another_recording_under_an_open_id_ends_the_open_one(lab):
    """What came of the first is sealed as incomplete, and the second is never mixed with it."""
    other = noise(MIB, 9)
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP[:MIB])
        state = await sink.begin(offer(other))
        assert state.durable == ()
        await send(sink, other)
        second = await sink.finish(fin(other))
    rows = lab.log.by_recording(KEY.device, KEY.recording)
    assert [row.complete for row in rows] == [False, True]
    assert lab.content(rows[0].id) == CLIP[:MIB]
    assert lab.content(second.exhibit) == other
    assert second.flags == ("recording_id_reused",)


async def test_abandoned_with_gaps_is_sealed_with_zeros_and_says_so(lab):
    """Complete false; the missing ranges are stated, those behind the last byte too."""
    parts = pieces(CLIP, 300_000)
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await sink.keep(parts[1])
        await sink.keep(parts[3])
        sealed = await sink.abandon(KEY)
    whole = bytes(300_000) + CLIP[300_000:600_000] + bytes(300_000) + CLIP[900_000:1_200_000]
    assert lab.content(sealed.exhibit) == whole
    assert sealed.sha256 == sha(whole)
    assert leaf_of(sealed)["complete"] is False
    detail = lab.log.details("seal")[0]
    assert detail["missing"] == [[0, 300_000], [600_000, 900_000], [1_200_000, len(CLIP)]]
    assert detail["missing_ranges"] == 3
    assert "checksum_mismatch" not in sealed.flags


async def test_abandoned_in_order_is_a_prefix(lab):
    """A camera smashed at 70 %: the footage is there, without a byte of filling."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP[:MIB])
        sealed = await sink.abandon(KEY)
    assert (sealed.size, leaf_of(sealed)["complete"]) == (MIB, False)
    assert lab.content(sealed.exhibit) == CLIP[:MIB]


async def test_abandoned_before_any_byte_leaves_nothing_but_its_entries(lab):
    """No blob, no key, no staging; the log says that nothing came."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        assert await sink.abandon(KEY) is None
        assert await sink.abandon(KEY) is None
        assert await sink.state(KEY) is None
    assert (lab.staged(), lab.blobs(), lab.keyring.secrets) == ([], [], {})
    assert lab.log.kinds() == ["receive", "amend"]
    assert lab.log.details("amend")[0]["reason"] == "nothing_received"


async def test_late_segments_of_an_abandoned_recording_are_not_lost(lab):
    """They begin another exhibit, flagged; with all of it, that one is complete."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP[:MIB])
        first = await sink.abandon(KEY)
        await send(sink, CLIP)
        second = await sink.finish(fin(CLIP))
    assert second.exhibit != first.exhibit
    assert set(second.flags) == {"late_segments", "not_offered"}
    assert lab.content(second.exhibit) == CLIP


async def test_segments_and_fin_of_a_recording_never_offered_are_kept(lab):
    """An init that was lost is no reason to refuse footage."""
    async with lab.running() as sink:
        assert await sink.state(KEY) is None
        state = await sink.finish(fin(CLIP))
        assert (state.reason, state.missing) == ("incomplete", ((0, len(CLIP)),))
        await send(sink, CLIP)
        sealed = await sink.finish(fin(CLIP))
    assert sealed.flags == ("not_offered",)


async def test_uploads_that_nobody_resumes_expire(lab):
    """After the configured days what came is sealed as incomplete; a younger upload stays."""
    other = RecordingKey(DeviceId("cam-0043"), "r")
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP[:MIB])
        lab.clock.seconds += 20 * 86400
        await sink.begin(RecordingOffer(other, "r"))
        lab.clock.seconds += 15 * 86400 + 1
        assert await sink.expire() == 1
        assert isinstance(await sink.state(KEY), Sealed)
        assert not isinstance(await sink.state(other), Sealed)
