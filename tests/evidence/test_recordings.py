"""The recording sink: every verb, what is answered, what is on disk and in the log afterwards."""

from __future__ import annotations

import asyncio
import base64
import subprocess

import pytest

from gateway.crypto.age import CHUNK, Identity
from gateway.domain.evidence import Attribution, RecordingFin, Sealed, Segment
from gateway.errors import SegmentError
from tests.evidence.vault.lab import (
    KEY,
    MIB,
    FaultyFiles,
    Lab,
    fin,
    leaf_of,
    noise,
    offer,
    pieces,
    sha,
)

CLIP = noise(2 * MIB + 4321)


@pytest.fixture
def lab(tmp_path):
    """A vault, and at the end: no nonce was ever used twice."""
    lab = Lab(tmp_path, FaultyFiles())
    yield lab
    assert lab.law.broken == []


async def send(sink, content, octets=MIB, key=KEY):
    """Keep all segments of content, in order; the last state."""
    state = None
    for piece in pieces(content, octets, key):
        state = await sink.keep(piece)
    return state


async def test_an_upload_is_sealed_and_answered(lab):
    """begin, keep, finish: states, receipt, leaf, log, disk and keyring are as written in the formats."""
    async with lab.running() as sink:
        state = await sink.begin(offer(CLIP))
        assert (state.durable, state.missing, state.size) == ((), ((0, len(CLIP)),), len(CLIP))
        assert state.window_bytes == 8 * MIB
        state = await send(sink, CLIP)
        assert (state.durable, state.missing, state.reason) == (((0, len(CLIP)),), (), "success")
        sealed = await sink.finish(fin(CLIP, manifest=b"ey.ey.sig"))
        assert (sealed.sha256, sealed.size) == (sha(CLIP), len(CLIP))
        assert sealed.flags == ("device_signature_invalid",)
        assert sealed.receipt.keys() == {
            *("v", "exhibit", "recording", "size", "sha256", "log_index", "entry", "proof", "copies", "keep_until")
        }
        assert sealed.receipt["keep_until"] == "2026-11-22T21:08:02Z"
        assert sealed.receipt["proof"] == "proof of 1"
        assert lab.content(sealed.exhibit) == CLIP
        assert sink.reader.sha256_of(sealed.exhibit) == sha(CLIP)
    leaf = leaf_of(sealed)
    assert leaf["kind"] == "seal"
    assert (leaf["complete"], leaf["held"], leaf["category"], leaf["key"]) == (True, False, "uncategorised", "kek-7")
    assert (leaf["controller"], leaf["rule"], leaf["due"]) == ("PCC", "PCC/uncategorised@3", "2026-12-22")
    assert [path.stem for path in lab.blobs()] == [leaf["blob"]]
    assert leaf["blob_sha256"] == sha(lab.blobs()[0].read_bytes())
    assert lab.blobs()[0].parent.name == leaf["blob"][2:4]
    assert lab.staged() == []
    assert list(lab.keyring.secrets) == [f"identity/{sealed.exhibit}"]
    assert lab.log.kinds(sealed.exhibit) == ["receive", "seal"]
    (received,), (detail,) = lab.log.details("receive"), lab.log.details("seal")
    assert received["offer"]["name"] == "clip.mp4"
    assert (detail["device"], detail["recording"], detail["holder"]) == (KEY.device, KEY.recording, "P-0014")
    assert detail["started_at"] == "2026-11-21T21:05:03Z"
    assert base64.b64decode(detail["device_manifest"]) == b"ey.ey.sig"
    assert detail["device_signature"] == "invalid"


async def test_the_stock_tool_opens_a_blob(lab, tmp_path):
    """`age -d` with the exhibit's identity gives the recording: nobody depends on our code to read evidence."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP, 70_001)
        sealed = await sink.finish(fin(CLIP))
    secret = lab.keyring.get(f"identity/{sealed.exhibit}")
    (tmp_path / "key").write_text(Identity(secret).printed())
    found = subprocess.run(["age", "-d", "-i", tmp_path / "key", lab.blobs()[0]], capture_output=True, check=True)
    assert found.stdout == CLIP


async def test_files_are_for_their_owner_alone(lab):
    """Directories 0700, files 0600."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP[:MIB])
    made = [lab.root / "staging", *(lab.root / "staging").rglob("*")]
    assert {oct(path.stat().st_mode & 0o777) for path in made if path.is_dir()} == {"0o700"}
    assert {oct(path.stat().st_mode & 0o777) for path in made if path.is_file()} == {"0o600"}


async def test_nothing_lies_in_the_clear(lab):
    """Not a piece of the recording, not its name, is readable in staging."""
    content = b"PLAINTEXT-MARKER" * 20_000
    async with lab.running() as sink:
        await sink.begin(offer(content, name="NAME-MARKER", user_data={"incident": "INCIDENT-MARKER"}))
        for piece in pieces(content, 50_000)[::2]:
            await sink.keep(piece)
        raw = b"".join(path.read_bytes() for path in (lab.root / "staging").rglob("*") if path.is_file())
    assert len(raw) > len(content) // 2
    assert b"MARKER" not in raw


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 4 * CHUNK])
async def test_sizes_at_the_edges_of_chunks(lab, size):
    """An empty recording and those that end at a chunk are sealed too."""
    async with lab.running() as sink:
        await sink.begin(offer(noise(size)))
        await send(sink, noise(size), 10_000)
        sealed = await sink.finish(fin(noise(size)))
    assert lab.content(sealed.exhibit) == noise(size)


async def test_out_of_order_within_one_process(lab):
    """Backwards and in odd sizes: sealed byte for byte, and still without encrypting anew."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        for piece in reversed(pieces(CLIP, 77_777)):
            state = await sink.keep(piece)
        assert state.missing == ()
        before = set(lab.keyring.secrets)
        sealed = await sink.finish(fin(CLIP))
    assert lab.content(sealed.exhibit) == CLIP
    assert f"identity/{sealed.exhibit}/next" not in before | set(lab.keyring.secrets)


async def test_resumes_after_a_restart(lab):
    """What was durable is durable still; the rest arrives; one seal, another identity, no old keys."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        first = await send(sink, CLIP[: MIB + 999], 100_000)
    (exhibit,) = lab.staged()
    identity = lab.keyring.get(f"identity/{exhibit}")
    async with lab.running() as sink:
        assert (await sink.state(KEY)).durable == first.durable
        assert (await sink.begin(offer(CLIP))).durable == first.durable
        for piece in pieces(CLIP, 100_000)[10:]:
            await sink.keep(piece)
        sealed = await sink.finish(fin(CLIP))
    assert sealed.exhibit == exhibit
    assert lab.content(exhibit) == CLIP
    assert leaf_of(sealed)["blob_sha256"] == sha(lab.blobs()[0].read_bytes())
    assert lab.keyring.secrets.keys() == {f"identity/{exhibit}"}
    assert lab.keyring.get(f"identity/{exhibit}") != identity
    assert lab.log.kinds(exhibit) == ["receive", "seal"]


async def test_nobody_writes_to_an_old_process_files(lab):
    """After a restart the files of before stay exactly as they were until the seal."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP[:MIB], 100_000)
    folder = lab.root / "staging" / lab.staged()[0]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    async with lab.running() as sink:
        for piece in pieces(CLIP, 100_000)[5:]:
            await sink.keep(piece)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {"run-1.rec"}


async def test_fin_before_everything_is_there_says_what_is_missing(lab):
    """Reason `incomplete`, with the ranges; then the rest, then the receipt."""
    parts = pieces(CLIP, 300_000)
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        for place in (0, 2):
            await sink.keep(parts[place])
        state = await sink.finish(fin(CLIP))
        assert state.reason == "incomplete"
        assert state.missing == ((300_000, 600_000), (900_000, len(CLIP)))
        for piece in parts:
            await sink.keep(piece)
        assert isinstance(await sink.finish(fin(CLIP)), Sealed)


async def test_fin_is_a_barrier_behind_segments_under_way(lab):
    """A camera that pipelines everything and fin at once is not told `incomplete`."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        async with asyncio.TaskGroup() as group:
            kept = [group.create_task(sink.keep(piece)) for piece in pieces(CLIP, 50_000)]
            done = group.create_task(sink.finish(fin(CLIP)))
        assert isinstance(done.result(), Sealed)
        assert all(task.result().durable for task in kept)


async def test_one_sync_serves_many_segments(lab):
    """Group commit: segments queued together share their fdatasync."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        lab.files.calls.clear()
        async with asyncio.TaskGroup() as group:
            for piece in pieces(CLIP, 20_000):
                group.create_task(sink.keep(piece))
        assert lab.files.calls.count("datasync") < 10
        assert lab.files.calls.count("datasync") >= 2


async def test_keep_returns_only_after_the_sync(lab):
    """When the answer is there, the last operation was a sync, not a write."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        for piece in pieces(CLIP, 200_000):
            lab.files.calls.clear()
            await sink.keep(piece)
            assert "write" in lab.files.calls
            assert lab.files.calls[-1] == "datasync"


async def test_duplicates_and_overlaps_pass_when_they_are_the_same(lab):
    """Identical bytes pass wherever they overlap: chunks, tail, records."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        for octets in (70_000, 333_333, 64 * 1024):
            for piece in pieces(CLIP, octets):
                state = await sink.keep(piece)
        assert state.durable == ((0, len(CLIP)),)
        assert (await sink.finish(fin(CLIP))).flags == ()


@pytest.mark.parametrize("at", [0, 70_000, MIB - 5, 2 * MIB - 100])
@pytest.mark.parametrize("restart", [False, True])
async def test_differing_bytes_are_refused_and_flagged(lab, at, restart):
    """The first write stands; the exhibit says that something else was offered, also after a restart."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP[:MIB], 100_000)
        await sink.keep(Segment(KEY, 2 * MIB - 1000, CLIP[2 * MIB - 1000 : 2 * MIB]))
        with pytest.raises(SegmentError, match="segment_conflict"):
            await sink.keep(Segment(KEY, at, b"x" * 10))
        state = await sink.state(KEY)
        assert state.durable == ((0, MIB), (2 * MIB - 1000, 2 * MIB))
        if not restart:
            await send(sink, CLIP)
            sealed = await sink.finish(fin(CLIP))
    if restart:
        async with lab.running() as sink:
            await send(sink, CLIP)
            sealed = await sink.finish(fin(CLIP))
    assert sealed.flags == ("segment_conflict",)
    assert lab.log.details("seal")[0]["flags"] == ["segment_conflict"]
    assert lab.content(sealed.exhibit) == CLIP


@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        (Segment(KEY, len(CLIP) - 1, b"ab"), "beyond_size"),
        (Segment(KEY, -1, b"ab"), "bad_offset"),
        (Segment(KEY, 1 << 62, b"ab"), "bad_offset"),
        (Segment(KEY, 0, bytes(4 * MIB + 1)), "segment_too_large"),
        (Segment(KEY, 0, b"ab", sha256=sha(b"ba")), "checksum_mismatch"),
    ],
)
async def test_a_bad_segment_is_named_and_the_recording_goes_on(lab, segment, reason):
    """0x80 with the reason, counted; nothing of it is kept."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        with pytest.raises(SegmentError, match=reason):
            await sink.keep(segment)
        assert sink.counters[f"refused_{reason}"] == 1
        assert (await sink.state(KEY)).durable == ()
        assert (await sink.keep(Segment(KEY, 0, CLIP[:100], sha256=sha(CLIP[:100]).upper()))).durable == ((0, 100),)


@pytest.mark.parametrize("size", [-1, 1 << 50])
async def test_a_size_that_no_recording_has(lab, size):
    """Refused where it is said."""
    async with lab.running() as sink:
        with pytest.raises(SegmentError, match="bad_size"):
            await sink.begin(offer(size=size))
        with pytest.raises(SegmentError, match="bad_size"):
            await sink.finish(RecordingFin(KEY, size))


async def test_a_wrong_checksum_is_sealed_and_flagged(lab):
    """Footage is never refused for what is odd about it; the receipt carries the true hash."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP)
        sealed = await sink.finish(fin(CLIP, sha256="0" * 64))
    assert sealed.flags == ("checksum_mismatch",)
    assert sealed.sha256 == sha(CLIP)


async def test_a_live_recording_has_no_size_until_fin(lab):
    """Segments beyond anything stated are kept; fin names the size."""
    async with lab.running() as sink:
        state = await sink.begin(offer())
        assert (state.size, state.missing) == (None, ())
        await sink.keep(pieces(CLIP, MIB)[1])
        state = await sink.keep(pieces(CLIP, MIB)[2])
        assert state.missing == ((0, MIB),)
        await sink.keep(pieces(CLIP, MIB)[0])
        sealed = await sink.finish(fin(CLIP))
    assert (sealed.size, sealed.flags) == (len(CLIP), ())


@pytest.mark.parametrize("said", [len(CLIP) - 10_000, len(CLIP) + 10_000])
async def test_a_size_that_differs_from_the_offer_is_flagged(lab, said):
    """The fin's size counts; what came is kept whole."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP, size=said, checksum=None))
        if said < len(CLIP):
            await send(sink, CLIP[:said])
            assert (await sink.finish(fin(CLIP))).missing == ((said, len(CLIP)),)
        await send(sink, CLIP)
        sealed = await sink.finish(fin(CLIP))
    assert (sealed.size, sealed.flags) == (len(CLIP), ("size_differs",))
    assert lab.content(sealed.exhibit) == CLIP


async def test_fin_smaller_than_what_came_seals_all_that_came(lab):
    """Bytes that were called durable are never cut off."""
    async with lab.running() as sink:
        await sink.begin(offer())
        await send(sink, CLIP)
        sealed = await sink.finish(RecordingFin(KEY, 1000))
    assert (sealed.size, sealed.flags) == (len(CLIP), ("size_differs",))
    assert leaf_of(sealed)["complete"] is True


async def test_holder_and_its_doubts_go_into_the_detail(lab):
    """The roster's answer, never a guess."""
    lab.people.answer = Attribution(None, ("P-0001", "P-0002"), ("holder_ambiguous",))
    async with lab.running() as sink:
        await sink.begin(offer(CLIP))
        await send(sink, CLIP)
        sealed = await sink.finish(fin(CLIP))
    assert sealed.flags == ("holder_ambiguous",)
    detail = lab.log.details("seal")[0]
    assert (detail["holder"], detail["candidates"]) == (None, ["P-0001", "P-0002"])


@pytest.mark.parametrize("odd", [{"n": 1 << 70}, {"n": float("nan")}, {"n": "x" * 400_000}])
async def test_user_data_that_the_log_cannot_hold_is_stood_in_for(lab, odd):
    """The recording is kept; a digest says what was left out."""
    async with lab.running() as sink:
        await sink.begin(offer(CLIP, user_data=odd))
        await send(sink, CLIP)
        await sink.finish(fin(CLIP, manifest=b"m" * 300_000))
    detail = lab.log.details("seal")[0]
    assert len(detail["user_data"]["sha256"]) == 64
    assert detail["flags"] == ["manifest_too_large", "device_signature_invalid"]
    assert (detail["device_signature"], detail["problem"]) == ("invalid", "too large to be kept")
