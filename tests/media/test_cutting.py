"""Groups of pictures: real bounds outwards, whatever is asked; what ffprobe says read line by line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.media.cutting import Packet, cut, read_packets


def picture(at_s: float, *, key: bool = False) -> Packet:
    """A frame of 40 ms, 100 bytes, in order."""
    return Packet(True, at_s, 0.04, 1_000 + round(at_s * 25) * 100, 100, key)


FILM = [picture(n / 25, key=n % 50 == 0) for n in range(300)]


@given(st.floats(0, 11.9), st.floats(0.001, 20))
def test_bounds_are_key_frames_outwards(from_s: float, length_s: float) -> None:
    """What was asked for lies within; both ends are key frames or the film's own; the bytes hold every frame."""
    found = cut(FILM, from_s, from_s + length_s)
    assert found is not None
    assert found.from_s <= from_s + 0.001
    assert found.to_s >= min(from_s + length_s, 12.0) - 0.001
    assert found.from_s % 2 == 0
    assert found.to_s in {2.0, 4.0, 6.0, 8.0, 10.0, 12.0}
    assert found.to_s - found.from_s <= length_s + 4.01
    within = [packet for packet in FILM if found.from_s <= packet.at_s < found.to_s]
    assert found.span[0] <= within[0].pos
    assert found.span[1] >= within[-1].pos + within[-1].size


def test_nothing_is_there() -> None:
    """Behind the end, or without a key frame, there is nothing to be cut."""
    assert cut(FILM, 12.5, 13) is None
    assert cut([picture(0)], 0, 1) is None
    assert cut([], 0, 1) is None


def test_sound_alone_is_cut_at_its_own_packets() -> None:
    """Without pictures the sound leads."""
    sound = [Packet(False, n / 10, 0.1, n * 10, 10, key=True) for n in range(50)]
    found = cut(sound, 1.05, 2.0)
    assert found is not None
    assert (found.from_s, found.to_s) == (1.0, 2.0)


def test_lines_that_say_too_little_are_left_out() -> None:
    """Seconds count from the container's beginning; a line without place or time, or of a hostile number, is none."""
    lines = [
        "codec_type=video|pts_time=3.5|duration_time=0.04|size=10|pos=7|flags=K__",
        "codec_type=audio|pts_time=4.0|size=3|pos=17|flags=K__",
        "codec_type=video|pts_time=N/A|size=10|pos=7|flags=___",
        "codec_type=video|pts_time=1e999|size=10|pos=7|flags=___",
        "codec_type=video|pts_time=1|size=-10|pos=7|flags=___",
        "codec_type=subtitle|pts_time=1|size=1|pos=7",
        "nonsense",
        "start_time=1.500000",
    ]
    assert read_packets("\n".join(lines).encode()) == [
        Packet(True, 2.0, 0.04, 7, 10, True),
        Packet(False, 2.5, 0.0, 17, 3, True),
    ]


@given(st.binary())
def test_hostile_words_are_no_packets(out: bytes) -> None:
    """Whatever came out is read without an error."""
    assert read_packets(out) == []
