"""Reading sealed exhibits back by byte range, and what is said when they are not what was written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.crypto.age import CHUNK
from gateway.domain.evidence import Sealed
from gateway.errors import EvidenceError, IntegrityError
from tests.evidence.vault.lab import Lab, fin, noise, offer, pieces, sha

CLIP = noise(5 * CHUNK + 77)


async def sealed_in(lab: Lab) -> Sealed:
    """One sealed exhibit."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        for piece in pieces(CLIP, 100_000):
            await sink.keep(piece)
        return await sink.finish(fin(CLIP))


async def test_ranges_and_the_whole(tmp_path):
    """Every range is that part of the recording, also streamed; an end beyond is the end."""
    lab = Lab(tmp_path)
    exhibit = (await sealed_in(lab)).exhibit
    reader = lab.recordings().reader

    @settings(max_examples=100)
    @given(st.integers(0, len(CLIP)), st.integers(0, len(CLIP) + 100))
    def any_range(start, end):
        assert b"".join(reader.read(exhibit, start, end)) == CLIP[start:end]

    any_range()
    assert b"".join([part async for part in reader.stream(exhibit, 5)]) == CLIP[5:]
    assert reader.sha256_of(exhibit) == sha(CLIP)


async def test_a_stream_left_early_closes_its_file(tmp_path):
    """A viewer that seeks away leaves no descriptor behind."""
    import os

    lab = Lab(tmp_path)
    exhibit = (await sealed_in(lab)).exhibit
    reader = lab.recordings().reader
    before = len(os.listdir("/proc/self/fd"))
    stream = reader.stream(exhibit)
    assert (await anext(stream))[:10] == CLIP[:10]
    await stream.aclose()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("harm", ["cut", "shorter", "changed", "gone"])
async def test_a_harmed_blob_is_named(tmp_path, harm):
    """IntegrityError carries the blob-id, before a wrong byte is given."""
    lab = Lab(tmp_path)
    exhibit = (await sealed_in(lab)).exhibit
    (path,) = lab.blobs()
    content = path.read_bytes()
    match harm:
        case "cut":
            path.write_bytes(content[:-1])
        case "shorter":
            path.write_bytes(content[: -(77 + 16)])
        case "changed":
            path.write_bytes(content[:-40] + bytes([content[-40] ^ 1]) + content[-39:])
        case "gone":
            path.unlink()
    with pytest.raises(IntegrityError, match=path.stem):
        b"".join(lab.recordings().reader.read(exhibit, 0, 10))


async def test_a_blob_of_another_length_than_its_seal(tmp_path):
    """A well-formed blob that is not the one sealed is found by its size."""
    import msgspec

    lab = Lab(tmp_path)
    exhibit = (await sealed_in(lab)).exhibit
    lab.log.exhibits[exhibit] = msgspec.structs.replace(lab.log.exhibits[exhibit], size=len(CLIP) - 1)
    with pytest.raises(IntegrityError, match="its seal says"):
        lab.recordings().reader.sha256_of(exhibit)


async def test_no_key_and_no_exhibit_are_said(tmp_path):
    """A disposed exhibit has no key; one never sealed has no blob."""
    lab = Lab(tmp_path)
    exhibit = (await sealed_in(lab)).exhibit
    reader = lab.recordings().reader
    with pytest.raises(EvidenceError, match="not sealed"):
        list(reader.read("X-000000000000"))
    lab.keyring.delete(f"identity/{exhibit}")
    with pytest.raises(EvidenceError, match="disposed"):
        list(reader.read(exhibit))
