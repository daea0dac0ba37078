"""Docks that speak for cameras: one recording whoever brings it; what an unentitled dock brings is kept, apart."""

from __future__ import annotations

import pytest

from gateway.domain.evidence import RecordingKey, Sealed
from gateway.domain.ids import DeviceId
from gateway.errors import SegmentError
from tests.evidence.vault.lab import KEY, MIB, Lab, fin, leaf_of, noise, offer, pieces

CLIP = noise(MIB + 4321)
OTHER = noise(MIB + 4321, 2)


def by(dock: str) -> RecordingKey:
    """The same recording, brought by a dock."""
    return RecordingKey(KEY.device, KEY.recording, DeviceId(dock))


class Rights:
    """An authority with one entitled dock."""

    def credentials(self, device):
        """None enrolled."""
        return ()

    def revoked(self, device):
        """Nobody."""
        return False

    def speaks_for(self, dock, camera):
        """dock-1 alone."""
        return (dock, camera) == ("dock-1", KEY.device)


@pytest.fixture
def lab(tmp_path):
    """A vault beside an authority."""
    lab = Lab(tmp_path)
    lab.rights = Rights()
    return lab


async def brought(sink, key, content=CLIP):
    """A whole upload under a key."""
    begun = await sink.begin(offer(content, key=key, via=key.via))
    if isinstance(begun, Sealed):
        return begun
    for piece in pieces(content, 300_000, key):
        await sink.keep(piece)
    return await sink.finish(fin(content, key))


async def test_a_dock_that_may_speak_brings_the_cameras_own_recording(lab):
    """Begun by the camera, ended by the dock: one exhibit, `via` said in the seal, no flag."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        first, *rest = pieces(CLIP, 300_000)
        await sink.keep(first)
        state = await sink.begin(offer(CLIP, key=by("dock-1"), via=DeviceId("dock-1")))
        assert state.durable == ((0, 300_000),)
        for piece in rest:
            await sink.keep(type(piece)(by("dock-1"), piece.offset, piece.content))
        sealed = await sink.finish(fin(CLIP, by("dock-1")))
        assert (await sink.begin(offer(CLIP))).exhibit == sealed.exhibit
    assert sealed.flags == ()
    assert lab.log.details("seal")[0]["via"] == "dock dock-1"
    assert "via" not in lab.log.details("receive")[0]
    assert lab.log.details("seal")[0]["device"] == KEY.device


async def test_without_an_authority_a_dock_is_taken_at_its_word(lab):
    """No rights configured: kept, one recording, `via` on record from the first entry."""
    lab.rights = None
    async with lab.running() as sink:
        sealed = await brought(sink, by("dock-9"))
        assert (await brought(sink, KEY)).exhibit == sealed.exhibit
    assert sealed.flags == ()
    assert [each["via"] for each in (*lab.log.details("receive"), *lab.log.details("seal"))] == ["dock dock-9"] * 2


async def test_footage_of_a_dock_without_the_right_is_kept_and_flagged(lab):
    """Never refused; sealed byte for byte, flagged, named."""
    async with lab.running() as sink:
        sealed = await brought(sink, by("dock-2"))
        assert (await brought(sink, by("dock-2"))).exhibit == sealed.exhibit, "offered again is the same exhibit"
    assert sealed.flags == ("dock_not_entitled",)
    assert leaf_of(sealed)["complete"] is True
    assert lab.content(sealed.exhibit) == CLIP
    assert lab.log.details("seal")[0]["via"] == "dock dock-2"


async def test_such_a_dock_cannot_touch_the_cameras_own_upload(lab):
    """Its segments, fin and abort under the camera's name lie apart; the camera's recording seals as if alone."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        mine = pieces(CLIP, 300_000)
        await sink.keep(mine[0])
        for piece in pieces(OTHER, 300_000, by("dock-2")):
            await sink.keep(piece)
        assert (await sink.state(KEY)).durable == ((0, 300_000),)
        theirs = await sink.abandon(by("dock-2"))
        assert (await sink.state(KEY)).durable == ((0, 300_000),), "its abort ended what is not its own"
        for piece in mine[1:]:
            await sink.keep(piece)
        sealed = await sink.finish(fin(CLIP))
    assert (sealed.flags, lab.content(sealed.exhibit)) == ((), CLIP)
    assert theirs.exhibit != sealed.exhibit
    assert set(theirs.flags) == {"not_offered", "dock_not_entitled"}
    assert lab.content(theirs.exhibit) == OTHER


async def test_what_it_brought_is_no_receipt_for_the_camera(lab):
    """The camera's own offer of the same id opens an upload of its own: its copy is not deleted on a stranger's."""
    async with lab.running() as sink:
        theirs = await brought(sink, by("dock-2"))
        assert await sink.state(KEY) is None
        mine = await brought(sink, KEY)
        assert mine.exhibit != theirs.exhibit
        assert mine.flags == ()
        with pytest.raises(SegmentError, match="segment_conflict"):
            await sink.keep(pieces(OTHER, 300_000)[0])


async def test_it_lies_apart_after_a_restart_too(lab):
    """Recovery reads the dock back from staging."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await sink.begin(offer(OTHER, key=by("dock-2"), via=DeviceId("dock-2")))
        await sink.keep(pieces(OTHER, 300_000, by("dock-2"))[0])
    async with lab.running() as sink:
        assert (await sink.state(KEY)).durable == ()
        assert (await sink.state(by("dock-2"))).durable == ((0, 300_000),)
        sealed = await brought(sink, by("dock-2"), OTHER)
    assert "dock_not_entitled" in sealed.flags
    assert lab.content(sealed.exhibit) == OTHER
