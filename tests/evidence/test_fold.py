"""The fold by itself: pure, and deaf to what an entry may not say."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evidence.fold import ADMITTING, CHANGING, apply_to, custody_entry, fold, named_exhibits
from gateway.evidence.rows import Entry, Exhibit
from tests.evidence.log.lab import AT

NOTHING: dict = {"actor": "system"}


def entry(kind: str, exhibit: str | None = "X-1", detail: dict | None = NOTHING, **facts: object) -> Entry:
    """An entry of this kind; detail None: it was erased."""
    place = {} if exhibit is None else {"exhibit": exhibit, "n": 5, "prev": "00"}
    return Entry(
        9, kind.encode(), {"v": 1, "kind": kind, "at": "2026-11-21T21:08:02Z", **place, **facts, "hmac": "ab"}, detail
    )


@pytest.mark.parametrize("kind", sorted(ADMITTING | CHANGING))
def test_kinds_that_describe(kind: str) -> None:
    """Leaf before detail; what is not said stays."""
    before = Exhibit(id="X-1", device="cam-1", size=3)
    after = fold(before, entry(kind, detail={"category": "detail", "holder": "P-1"}, category="leaf"))
    assert (after.category, after.holder, after.device, after.size) == ("leaf", "P-1", "cam-1", 3)
    assert (after.n, after.prev) == (5, hashlib.sha256(kind.encode()).hexdigest())


@pytest.mark.parametrize("kind", sorted(CHANGING))
def test_what_is_in_the_vault_is_said_once(kind: str) -> None:
    """No later entry gives the master another hash, blob, key, origin or predecessor."""
    words = dict.fromkeys(("sha256", "blob", "blob_sha256", "key", "device", "recording", "supersedes"), "x")
    before = Exhibit(id="X-1", size=3, complete=True)
    after = fold(before, entry(kind, detail=words, size=9, complete=False, **words))
    assert (after.sha256, after.blob, after.key, after.device, after.supersedes) == (None,) * 5
    assert (after.size, after.complete) == (3, True)


@pytest.mark.parametrize(
    "kind", ["clip", "derive", "view", "play", "export", "verify_pass", "dispose_approve", "something_new"]
)
def test_kinds_that_do_not(kind: str) -> None:
    """Only the chain moves."""
    before = Exhibit(id="X-1", device="cam-1", size=3, n=4, prev="00")
    after = fold(before, entry(kind, detail={"device": "console"}, size=99, held=True, holds=["H-9"], copies=9))
    assert after == Exhibit(id="X-1", device="cam-1", size=3, n=5, prev=hashlib.sha256(kind.encode()).hexdigest())


FOUND = {
    "container": "mp4",
    "codecs": ["h264", "aac"],
    "duration_s": 12,
    "media_created_at": "2026-11-21T21:05:03Z",
    "playable": "partial",
    "media_reason": "ends_early",
}


def test_what_an_examination_found() -> None:
    """A `derive` of `media` sets the media columns anew as a whole, and nothing else."""
    before = Exhibit(id="X-1", device="cam-1", size=3, sha256="aa", playable="playable", thumbnail="old")
    after = fold(before, entry("derive", detail={**FOUND, "device": "x", "sha256": "x", "held": True}, what="media"))
    assert (after.container, after.codecs, after.duration_s) == ("mp4", ("h264", "aac"), 12.0)
    assert (after.playable, after.media_reason, after.thumbnail) == ("partial", "ends_early", None)
    assert after.media_created_at == AT.replace(minute=5, second=3)
    assert (after.device, after.size, after.sha256, after.held) == ("cam-1", 3, "aa", False)


@pytest.mark.parametrize("kind", ["receive", "seal", "amend", "categorise", "derive", "view"])
def test_nothing_else_says_what_the_media_are(kind: str) -> None:
    """A seal, an amendment, or the facts of a derived copy leave the master's alone."""
    before = Exhibit(id="X-1", playable="playable", container="mp4", codecs=("h264",))
    after = fold(before, entry(kind, detail={**FOUND, "thumbnail": "x"}, playable="unplayable"))
    assert (after.playable, after.container, after.codecs) == ("playable", "mp4", ("h264",))
    assert (after.duration_s, after.thumbnail, after.media_reason) == (None, None, None)


@pytest.mark.parametrize("seconds", [True, "12", None, float("nan"), float("inf"), [1]])
def test_durations_that_are_none(seconds: object) -> None:
    """Only a number that is one."""
    assert fold(None, entry("derive", detail={"duration_s": seconds}, what="media")).duration_s is None


def test_a_review_can_release_by_its_facts_and_a_hold_cannot_be_hidden() -> None:
    """Held follows its own kinds and the describing ones, never a detail of a viewing."""
    assert fold(None, entry("hold", held=False)).held
    assert not fold(Exhibit(id="X-1", held=True), entry("release", held=True)).held
    assert fold(Exhibit(id="X-1", held=True), entry("categorise", held=False)).held


def test_each_hold_is_released_by_itself() -> None:
    """Two holds, one released: still held; the other too: free. A release of none such changes nothing."""
    one = fold(fold(None, entry("hold", hold="H-1")), entry("hold", hold="H-2"))
    assert (one.holds, one.held) == (("H-1", "H-2"), True)
    two = fold(fold(one, entry("release", hold="H-9")), entry("release", hold="H-1"))
    assert (two.holds, two.held) == (("H-2",), True)
    three = fold(two, entry("release", hold="H-2"))
    assert (three.holds, three.held) == ((), False)


def test_an_exhibit_whose_detail_is_gone_comes_back_held() -> None:
    """Until somebody releases just that; an entry of a shredded exhibit holds nothing."""
    lost = fold(fold(None, entry("seal", detail=None)), entry("release", hold="H-1"))
    assert (lost.holds, lost.held) == (("detail-erased",), True)
    assert not fold(lost, entry("release", hold="detail-erased")).held
    gone = fold(fold(lost, entry("key_destroy")), entry("dispose", detail=None))
    assert (gone.holds, gone.held) == ((), False)


def test_the_way_to_disposal() -> None:
    """Asked, taken back, asked again, key destroyed, disposed of; with details erased nothing leads to a person."""
    asked = fold(Exhibit(id="X-1", device="cam-1", holder="P-1"), entry("dispose_request", disposal="D-1"))
    assert asked.disposal == "D-1"
    assert fold(asked, entry("dispose_cancel", disposal="D-1")).disposal is None
    shredded = fold(asked, entry("key_destroy", disposal="D-1"))
    assert (shredded.shredded_at, shredded.disposed_at) == (AT, None)
    assert fold(shredded, entry("dispose", disposal="D-1")).holder == "P-1"
    erased = fold(shredded, entry("dispose", disposal="D-1", details="erased"))
    assert (erased.disposed_at, erased.device, erased.holder) == (AT, None, None)


def test_copies_are_those_last_verified() -> None:
    """A number, or nothing is said."""
    two = fold(None, entry("copy_verified", copies=2))
    assert fold(two, entry("copy_verified", copies="many")).copies == 2


def test_received_at_is_the_first() -> None:
    """A second receive (an upload taken up again) does not make the exhibit younger."""
    early = Exhibit(id="X-1", received_at=AT.replace(hour=3))
    assert fold(early, entry("receive")).received_at == AT.replace(hour=3)
    assert fold(None, entry("receive")).received_at == AT


def test_acts_on_no_exhibit() -> None:
    """They are listed and change nothing."""
    known: dict[str, Exhibit] = {}
    apply_to(known, entry("login_failed", None))
    assert known == {}
    assert named_exhibits(entry("login_failed", None)) == set()
    assert custody_entry(entry("login_failed", None, None)).actor is None


def test_superseding() -> None:
    """Both exhibits are named, and only the older is marked, once."""
    known = {"X-0": Exhibit(id="X-0")}
    one = entry("seal", detail={"actor": "system"}, supersedes="X-0")
    assert named_exhibits(one) == {"X-0", "X-1"}
    apply_to(known, one)
    assert known["X-0"].superseded_by == "X-1"
    assert known["X-1"].superseded_by is None
    assert custody_entry(one).actor == "system"


ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)
NAMES = st.sampled_from([*Exhibit.__struct_fields__[1:-3], "supersedes", "what"])


@given(
    st.sampled_from([*sorted(ADMITTING | CHANGING), "hold", "dispose", "derive", "x"]),
    st.dictionaries(NAMES, ODD),
    st.dictionaries(NAMES, ODD),
)
def test_never_raises_on_odd_words(kind: str, facts: dict, detail: dict) -> None:
    """Whatever types the words have, the exhibit's columns keep theirs."""
    after = fold(None, entry(kind, detail=detail, **facts))
    assert all(
        isinstance(getattr(after, name), (str, type(None))) for name in ("device", "holder", "blob", "supersedes")
    )
    assert isinstance(after.held, bool)
    assert after.size is None or type(after.size) is int
    assert all(isinstance(flag, str) for flag in after.flags)
