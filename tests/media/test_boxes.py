"""Top-level boxes: whole, cut, lying and endless; and what an image of a large recording must hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media import boxes
from gateway.media.boxes import BOXES_MAX, HEAD, INDEX_MAX, MIB, TAIL, WHOLE_MAX, Box, Layout, layout, merged, wanted
from tests.media.films import box, large_box


def walked(content: bytes, size: int | None = None) -> Layout:
    """The layout of these bytes, or of a recording that begins with them and has zeros behind."""
    total = len(content) if size is None else size
    return layout(lambda start, end: content[start:end].ljust(min(end, total) - start, b"\0"), total)


FILM = box(b"ftyp", b"isom0000") + box(b"mdat", bytes(500)) + box(b"moov", bytes(90))


def test_a_whole_film() -> None:
    """Each box where it is, and nothing short."""
    known = walked(FILM)
    assert [(each.kind, each.start, each.end) for each in known.boxes] == [
        (b"ftyp", 0, 16),
        (b"mdat", 16, 524),
        (b"moov", 524, 622),
    ]
    assert (known.sound, known.ends_early) == (True, False)


@pytest.mark.parametrize("cut", range(17, len(FILM)))
def test_every_cut_is_seen(cut: int) -> None:
    """Wherever the end is, unless it is between two boxes."""
    between = cut in (524,)
    known = walked(FILM[:cut])
    assert known.ends_early is not between
    assert known.sound is between


def test_large_and_open_ended_boxes() -> None:
    """64-bit sizes, and 0 for up to the end."""
    known = walked(box(b"ftyp") + large_box(b"mdat", bytes(40)) + box(b"moov", bytes(9)))
    assert [each.kind for each in known.boxes] == [b"ftyp", b"mdat", b"moov"]
    assert known.sound
    known = walked(box(b"ftyp") + box(b"mdat", bytes(99), size=0))
    assert known.boxes[-1] == Box(b"mdat", 8, 115)
    assert known.sound
    assert walked(box(b"ftyp") + large_box(b"mdat", b"")[:12]).ends_early


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"#EXTM3U\nfile:///etc/passwd\n",
        b"\x1a\x45\xdf\xa3" + bytes(60),
        bytes(100),
        box(b"ftyp", size=7),
        large_box(b"mdat", b"", size=15),
        box(b"abcd", bytes(20)),
    ],
)
def test_what_is_no_box_has_no_layout(content: bytes) -> None:
    """Nothing is claimed of other containers, text, zeros, or sizes that cannot be."""
    known = walked(content)
    assert not known.boxes
    assert not known.sound
    assert not known.ends_early


def test_a_box_that_is_none_ends_the_walk() -> None:
    """What was read before stays; nothing is said of the end."""
    known = walked(box(b"ftyp") + bytes(40))
    assert [each.kind for each in known.boxes] == [b"ftyp"]
    assert (known.sound, known.ends_early) == (False, False)


def test_claims_beyond_the_world() -> None:
    """A size of 2^63 costs nothing and is an early end."""
    known = walked(box(b"ftyp") + large_box(b"moov", b"", size=(1 << 63) + 5))
    assert known.ends_early
    assert known.boxes[-1].end > 1 << 63


def test_endless_boxes_end() -> None:
    """A file of nothing but empty boxes is given up after so many."""
    reads = []

    def read(start: int, end: int) -> bytes:
        reads.append(start)
        return box(b"free").ljust(16, b"\0")[: end - start]

    known = layout(read, 1 << 40)
    assert len(reads) == BOXES_MAX + 1
    assert len(known.boxes) == BOXES_MAX
    assert not known.sound


def test_deep_nesting_is_one_box() -> None:
    """Nothing descends: ten thousand boxes in one another are one."""
    content = b""
    for _ in range(10_000):
        content = box(b"moov", content)
    known = walked(box(b"ftyp") + content)
    assert [each.kind for each in known.boxes] == [b"ftyp", b"moov"]
    assert known.sound


# --- what the image holds


def test_a_small_recording_is_whole() -> None:
    """Up to the limit every byte is there; of nothing, nothing."""
    assert wanted(Layout(WHOLE_MAX)) == [(0, WHOLE_MAX)]
    assert wanted(Layout(0)) == []


def test_index_behind_the_samples() -> None:
    """Beginning, end, the index, and the last samples in front of it."""
    size, index = 4096 * MIB, 20 * MIB
    at = size - index
    known = Layout(size, (Box(b"ftyp", 0, 32), Box(b"mdat", 32, at), Box(b"moov", at, size)), sound=True)
    assert wanted(known) == [(0, HEAD + 32), (at - TAIL, size)]


def test_index_before_the_samples() -> None:
    """The index, the first samples behind it, and the end."""
    size, index = 4096 * MIB, 10 * MIB
    known = Layout(size, (Box(b"ftyp", 0, 32), Box(b"moov", 32, index), Box(b"mdat", index, size)), sound=True)
    assert wanted(known) == [(0, index + HEAD), (size - TAIL, size)]


def test_fragments() -> None:
    """Every fragment's index, and of its samples the box's beginning alone."""
    step = 8 * MIB
    fragments = [Box(b"ftyp", 0, step)]
    for at in range(step, 800 * MIB, step):
        fragments += [Box(b"moof", at, at + 1000), Box(b"mdat", at + 1000, at + step)]
    ranges = wanted(Layout(800 * MIB, tuple(fragments), sound=True))
    assert (400 * MIB, 400 * MIB + 1016) in ranges


def test_an_index_without_end_has_no_room() -> None:
    """An index larger than the room for it is left out: that recording is not recognised, and costs no memory."""
    known = Layout(4096 * MIB, (Box(b"ftyp", 0, 8), Box(b"moov", 8, 4096 * MIB)))
    assert sum(end - start for start, end in wanted(known)) < WHOLE_MAX


SOME = st.lists(
    st.tuples(st.sampled_from([b"mdat", b"moof", b"moov", b"free"]), st.integers(8, 1 << 31)), min_size=1, max_size=40
)


@given(SOME, st.integers(0, 1 << 20))
def test_an_image_is_bounded_apart_and_inside(some: list[tuple[bytes, int]], short: int) -> None:
    """Whatever the boxes: less than the limit, in order, not touching, within the recording."""
    found, at = [], 0
    for kind, length in some:
        found.append(Box(kind, at, at + length))
        at += length
    size = max(1, at - short)
    ranges = wanted(Layout(size, tuple(each for each in found if each.start < size)))
    assert all(0 <= start < end <= size for start, end in ranges)
    assert all(one[1] < two[0] for one, two in zip(ranges, ranges[1:], strict=False))
    assert sum(end - start for start, end in ranges) <= max(
        WHOLE_MAX if size <= WHOLE_MAX else 0, INDEX_MAX + 2 * (HEAD + TAIL)
    )


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12))
def test_merging_keeps_every_byte(ranges: list[tuple[int, int]]) -> None:
    """The same bytes, each once."""
    wished = {byte for start, end in ranges for byte in range(start, end)}
    had = [byte for start, end in merged(ranges) for byte in range(start, end)]
    assert sorted(wished) == had


@given(st.binary(max_size=300))
def test_no_bytes_upset_the_walk(content: bytes) -> None:
    """Any bytes give a layout; boxes lie one behind another."""
    for front in (b"", box(b"ftyp")):
        known = walked(front + content)
        assert all(one.end == two.start for one, two in zip(known.boxes, known.boxes[1:], strict=False))
        assert not (known.sound and known.ends_early)


def test_the_room_fits_the_promise() -> None:
    """The parts of a large image together stay below what a whole one may be."""
    assert boxes.INDEX_MAX + 2 * (boxes.HEAD + boxes.TAIL) <= boxes.WHOLE_MAX
