"""Names are words, never places: whatever a recording is called, no path on disk has anything of it."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.evidence import RecordingFin, RecordingKey, RecordingOffer, Segment
from gateway.domain.ids import DeviceId
from tests.evidence.vault.lab import Lab, sha

TRICKS = [
    *("../../../etc/passwd", "..", ".", "/etc/cron.d/x", "a/../../b", "....//....//x", "CON", "nul\x00byte", "-rf"),
    *(
        "x" * 10_000,
        "\u202egpj.exe",
        "ﬁle\u2215..\u2215x",
        "%2e%2e%2f",
        "\\\\host\\share",
        "run-0.rec",
        "X-000000000000",
    ),
    *("~root", "$(reboot)", "a\nb", "é" * 5000, "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")),
]
PLACE = re.compile(
    r"(staging|blobs)(/X-[0-9A-HJKMNP-TV-Z]{12}(/(blob|sealed)\.age|/run-[0-9]+\.rec)?"
    r"|/[0-9a-f]{2}(/[0-9a-f]{2}(/[0-9a-f]{32}\.age)?)?)?"
)


def strange(root: Path) -> list[str]:
    """Every path below root that is not of the vault's own making."""
    return [
        str(path.relative_to(root))
        for path in root.rglob("*")
        if not PLACE.fullmatch(str(path.relative_to(root / "evidence"))) and path != root / "evidence"
    ]


async def kept(root: Path, name: str) -> None:
    """One recording sealed and one left half way, both called by that name in every place that takes one."""
    lab = Lab(root)
    key = RecordingKey(DeviceId("cam-1"), name)
    offer = RecordingOffer(key, name, 4, sha(b"abcd"), name, user_data={name: name})
    async with lab.running() as sink:
        await sink.begin(offer)
        await sink.keep(Segment(key, 0, b"abcd"))
        sealed = await sink.finish(RecordingFin(key, 4))
        half = RecordingKey(DeviceId("cam-2"), name, DeviceId("dock-1"))
        await sink.begin(RecordingOffer(half, name, 9, via=DeviceId("dock-1")))
        await sink.keep(Segment(half, 2, b"cd"))
        assert strange(root) == []
        assert (await sink.state(key)).exhibit == sealed.exhibit
    assert lab.content(sealed.exhibit) == b"abcd"
    async with lab.running() as sink:  # and what is read back at the next start goes nowhere else either
        assert (await sink.state(half)).durable == ((2, 4),)
        assert strange(root) == []
    assert lab.log.details("seal")[0]["recording"] == name


@pytest.mark.parametrize("name", TRICKS, ids=range(len(TRICKS)))
async def test_no_trick_in_a_name_reaches_a_path(tmp_path, name):
    """Kept whole under an opaque id, the name a word in the detail."""
    await kept(tmp_path, name)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
@settings(derandomize=True, deadline=None, max_examples=25)
def test_no_name_at_all_reaches_a_path(name):
    """Any text."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(kept(Path(folder), name))


def test_the_check_can_fail(tmp_path):
    """A file named by a camera is seen."""
    (tmp_path / "evidence" / "staging" / "20261121T210503Z-0017").mkdir(parents=True)
    assert strange(tmp_path) == ["evidence/staging/20261121T210503Z-0017"]
