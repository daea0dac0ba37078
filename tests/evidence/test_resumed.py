"""A recording that goes on after its part was sealed: durable stays durable, and nothing foreign is mixed in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.evidence import RecordingFin, RecordingKey, RecordingOffer, Sealed, Segment, UploadState
from gateway.domain.ids import DeviceId
from gateway.evidence.resumed import RANGES_TOLD, held, is_same
from gateway.evidence.rows import Exhibit
from gateway.evidence.vault.ranges import Ranges
from tests.api.site import Site, noise

KEY = RecordingKey(DeviceId("cam-0042"), "0017")
BEGAN = datetime(2026, 11, 21, 21, 5, 3, tzinfo=UTC)
FILM = noise(2_500_000)
HOLE = (700_000, 1_300_000)
CUT = 2_000_000


def offer(content: bytes = FILM, began: datetime = BEGAN) -> RecordingOffer:
    """What its camera offers."""
    digest = hashlib.sha256(content).hexdigest()
    return RecordingOffer(KEY, "film.mp4", len(content), digest, "video/mp4", began)


class NoDocks:
    """An authority by which no dock speaks for a camera."""

    def speaks_for(self, _dock: DeviceId, _camera: DeviceId) -> bool:
        """None may."""
        return False


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A gateway that has sealed the film with a hole in it and without its end."""
    with Site(tmp_path / "own") as opened:

        async def part() -> None:
            sink = opened.gateway.evidence.recordings  # type: ignore[union-attr]
            await sink.begin(offer())
            await sink.keep(Segment(KEY, 0, FILM[: HOLE[0]]))
            await sink.keep(Segment(KEY, HOLE[1], FILM[HOLE[1] : CUT]))
            await sink.abandon(KEY)

        opened.awaited(part())
        yield opened


def sink(site: Site) -> Any:
    """Its recordings."""
    return site.gateway.evidence.recordings  # type: ignore[union-attr]


def test_only_what_is_missing_is_asked_for(site: Site) -> None:
    """And with that alone it is whole, in the place of the part."""

    async def rest() -> Sealed:
        state = await sink(site).begin(offer())
        assert isinstance(state, UploadState)
        assert state.missing == (HOLE, (CUT, len(FILM)))
        await sink(site).keep(Segment(KEY, HOLE[0], FILM[HOLE[0] : HOLE[1]]))
        await sink(site).keep(Segment(KEY, CUT, FILM[CUT:]))
        sealed = await sink(site).finish(RecordingFin(KEY, len(FILM)))
        assert isinstance(sealed, Sealed)
        return sealed

    sealed = site.awaited(rest())
    assert (sealed.sha256, sealed.flags) == (hashlib.sha256(FILM).hexdigest(), ("late_segments",))
    part, whole = site.gateway.evidence.records.catalogue.by_recording(KEY.device, KEY.recording)  # type: ignore[union-attr]
    assert (part.superseded_by, whole.supersedes, whole.id) == (whole.id, part.id, sealed.exhibit)


def test_late_segments_without_an_offer(site: Site) -> None:
    """The camera never learnt that its upload was sealed."""

    async def late() -> UploadState:
        state = await sink(site).keep(Segment(KEY, CUT, FILM[CUT:]))
        assert isinstance(state, UploadState)
        return state

    assert site.awaited(late()).durable == ((0, HOLE[0]), (HOLE[1], len(FILM)))


def test_another_recording_of_that_name_is_its_own(site: Site) -> None:
    """An id used again: not a byte of the old one is mixed in."""
    other = noise(2_500_000, 9)

    async def begin() -> UploadState:
        state = await sink(site).begin(offer(other, BEGAN + timedelta(days=3)))
        assert isinstance(state, UploadState)
        return state

    assert site.awaited(begin()).durable == ()


def test_another_recording_of_the_same_size_and_beginning_is_its_own(site: Site) -> None:
    """Its checksum says that it is another: not a byte of the old one is mixed in."""

    async def begin() -> UploadState:
        state = await sink(site).begin(offer(noise(2_500_000, 9)))
        assert isinstance(state, UploadState)
        return state

    assert site.awaited(begin()).durable == ()


def test_what_a_dock_without_the_right_left_is_not_mixed_in(site: Site) -> None:
    """Neither its part into the camera's upload, nor the camera's into its; neither supersedes the other."""
    theirs = RecordingKey(KEY.device, "0018", DeviceId("dock-2"))
    mine = RecordingKey(KEY.device, "0018")
    shelf = site.gateway.evidence.records.catalogue  # type: ignore[union-attr]

    async def both() -> tuple[Sealed | UploadState | None, ...]:
        sink(site)._needs = msgspec.structs.replace(sink(site)._needs, rights=NoDocks())
        await sink(site).keep(Segment(theirs, 0, b"bad"))
        first = await sink(site).abandon(theirs)
        begun = await sink(site).begin(RecordingOffer(mine, "0018"))
        await sink(site).keep(Segment(mine, 0, b"good"))
        await sink(site).abandon(mine)
        again = await sink(site).begin(RecordingOffer(theirs, "0018"))
        await sink(site).keep(Segment(theirs, 0, b"bad, whole"))
        return first, begun, again, await sink(site).finish(RecordingFin(theirs, 10))

    first, begun, again, whole = site.awaited(both())
    assert isinstance(begun, UploadState)
    assert isinstance(again, UploadState)
    assert (begun.durable, again.durable) == ((), ((0, 3),))
    assert isinstance(first, Sealed)
    assert isinstance(whole, Sealed)
    assert [row.superseded_by for row in shelf.by_recording(KEY.device, "0018")] == [whole.exhibit, None, None]


def test_a_part_that_cannot_be_read_stops_nobody(site: Site) -> None:
    """Damaged on disk: said, and the footage that comes now is kept."""
    (blob,) = (site.data / "evidence" / "blobs").rglob("*.age")
    blob.chmod(0o600)
    content = bytearray(blob.read_bytes())
    content[600] ^= 1
    blob.write_bytes(content)

    async def begin() -> UploadState:
        state = await sink(site).begin(offer())
        assert isinstance(state, UploadState)
        return state

    assert site.awaited(begin()).durable == ()


@given(st.integers(1, 200), st.lists(st.tuples(st.integers(0, 220), st.integers(1, 30)), max_size=8))
def test_held_and_missing_are_the_whole(size: int, found: list[tuple[int, int]]) -> None:
    """Disjoint, in order, nothing of neither."""
    missing = Ranges()
    for start, length in found:
        missing.add(start, start + length)
    kept = list(held(size, {"missing": [list(pair) for pair in missing.pairs]}))
    lacking = {n for start, end in missing.pairs for n in range(start, end)}
    assert {n for start, end in kept for n in range(start, end)} == set(range(size)) - lacking
    assert kept == sorted(kept)


def test_more_holes_than_a_seal_tells_of() -> None:
    """What lies behind the last hole that is named it can't vouch for."""
    missing = [[n * 10, n * 10 + 1] for n in range(RANGES_TOLD)]
    assert list(held(1_000_000, {"missing": missing}))[-1][1] == missing[-1][0]


def test_what_makes_it_the_same() -> None:
    """Size or beginning agree, and neither differs; a bare name is enough without an offer."""
    row = Exhibit(id="X-1", size=100, started_at=BEGAN)
    detail = {"missing": [[100, 200]]}
    bare = RecordingOffer(KEY, "x")
    assert is_same(bare, row, detail)
    assert is_same(RecordingOffer(KEY, "x", 200), row, detail)
    assert is_same(RecordingOffer(KEY, "x", 200, started_at=BEGAN), row, detail)
    assert not is_same(RecordingOffer(KEY, "x", 300, started_at=BEGAN), row, detail)
    assert not is_same(RecordingOffer(KEY, "x", None, "ab" * 32), row, detail)
    assert not is_same(RecordingOffer(KEY, "x", 200, started_at=BEGAN + timedelta(1)), row, detail)
