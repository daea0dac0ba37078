"""evidence.db: the fold of entries, and questions to it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import MisuseError, StoreBusyError
from gateway.evidence.rows import ActFilter, Entry, Exhibit, ExhibitFilter
from gateway.store.catalogue import Catalogue

START = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)


class Writer:
    """Entries as the log would give them."""

    def __init__(self) -> None:
        self.index = 0
        self.chains: dict[str, tuple[int, str | None]] = {}

    def entry(
        self, kind: str, exhibit: str | None = "X-1", facts: dict | None = None, detail: dict | None = None
    ) -> Entry:
        """The next entry."""
        place = {}
        if exhibit is not None:
            n, prev = self.chains.get(exhibit, (0, None))
            place = {"exhibit": exhibit, "n": n + 1, "prev": prev}
        at = (START + timedelta(seconds=self.index)).strftime("%Y-%m-%dT%H:%M:%SZ")
        leaf = {"v": 1, "kind": kind, "at": at, **place, **(facts or {}), "build": "b", "hmac": "00"}
        raw = json.dumps(leaf).encode()
        if exhibit is not None:
            self.chains[exhibit] = (place["n"], hashlib.sha256(raw).hexdigest())
        self.index += 1
        return Entry(self.index - 1, raw, leaf, None if detail is None else {"actor": "P-1", **detail})


@pytest.fixture
def writer() -> Writer:
    """Entries from 0."""
    return Writer()


@pytest.fixture
def catalogue(tmp_path: Path):
    """An open catalogue."""
    made = Catalogue(tmp_path / "evidence.db")
    made.open()
    yield made
    made.close()


SEAL = {
    "controller": "PCC",
    "category": "uncategorised",
    "sha256": "ab",
    "size": 7,
    "complete": True,
    "rule": "PCC/u@3",
    "due": "2026-12-22",
    "held": False,
    "key": "kek-7",
    "blob": "cd",
    "blob_sha256": "ef",
}
DETAIL = {
    "device": "cam-1",
    "recording": "r1",
    "holder": "P-14",
    "started_at": "2026-11-21T20:00:00Z",
    "ended_at": "2026-11-21T20:10:00.500Z",
    "content_type": "video/mp4",
    "flags": ["late"],
}


def test_receive_and_seal(catalogue: Catalogue, writer: Writer) -> None:
    """Every column has what its entry says, times as times."""
    catalogue.apply(
        [
            writer.entry("receive", detail={"device": "cam-1", "recording": "r1"}),
            writer.entry("seal", facts=SEAL, detail=DETAIL),
        ]
    )
    n, prev = writer.chains["X-1"]
    assert catalogue.exhibit("X-1") == Exhibit(
        id="X-1",
        device="cam-1",
        recording="r1",
        controller="PCC",
        category="uncategorised",
        content_type="video/mp4",
        size=7,
        sha256="ab",
        complete=True,
        blob="cd",
        blob_sha256="ef",
        key="kek-7",
        received_at=START,
        sealed_at=START + timedelta(seconds=1),
        started_at=START - timedelta(hours=1),
        ended_at=START - timedelta(minutes=49, seconds=59, milliseconds=500),
        holder="P-14",
        flags=("late",),
        rule="PCC/u@3",
        due="2026-12-22",
        log_index=1,
        n=n,
        prev=prev,
    )
    assert catalogue.chain("X-1") == (2, prev)
    assert catalogue.applied_size == 2


def test_each_kind_does_its_own(catalogue: Catalogue, writer: Writer) -> None:
    """Holds, categories, attribution, disposal; a viewing or an unknown kind moves the chain alone."""

    def after(kind: str, facts: dict | None = None, detail: dict | None = None) -> Exhibit:
        catalogue.apply([writer.entry(kind, facts=facts, detail=detail or {})])
        return catalogue.exhibit("X-1")

    sealed = after("seal", SEAL, DETAIL)
    assert after("hold").held
    assert not after("release").held
    assert after("categorise", {"category": "evidential", "due": "2033-01-01"}).category == "evidential"
    assert after("attribute", detail={"holder": None, "flags": ["two holders"]}).holder is None
    assert after("attribute", detail={"holder": "P-9", "flags": []}).holder == "P-9"
    viewed = after("view", {"size": 1, "category": "x"}, {"holder": "P-66", "device": "console"})
    assert (viewed.size, viewed.category, viewed.holder, viewed.device) == (7, "evidential", "P-9", "cam-1")
    assert after("nonsense_of_tomorrow").n == 8
    gone = after("dispose")
    assert gone.disposed_at == START + timedelta(seconds=8)
    assert (gone.sealed_at, gone.log_index) == (sealed.sealed_at, 0)


def test_supersedes(catalogue: Catalogue, writer: Writer) -> None:
    """The older exhibit knows its successor."""
    catalogue.apply(
        [writer.entry("seal", "X-1", SEAL, DETAIL), writer.entry("seal", "X-2", {**SEAL, "supersedes": "X-1"}, DETAIL)]
    )
    assert (catalogue.exhibit("X-1").superseded_by, catalogue.exhibit("X-2").supersedes) == ("X-2", "X-1")
    assert [row.id for row in catalogue.by_recording("cam-1", "r1")] == ["X-1", "X-2"]
    assert catalogue.by_recording("cam-1", "r2") == []
    catalogue.apply([writer.entry("view", "X-1", None, {})])
    assert catalogue.exhibit("X-1").superseded_by == "X-2"


def test_words_of_the_wrong_type_are_left_out(catalogue: Catalogue, writer: Writer) -> None:
    """A leaf cannot make the catalogue unreadable."""
    bad = {"size": "big", "complete": 1, "held": "no", "category": 5, "sha256": None}
    catalogue.apply(
        [writer.entry("seal", facts=bad, detail={"flags": "x", "started_at": "yesterday", "holder": 3, "ended_at": 4})]
    )
    row = catalogue.exhibit("X-1")
    assert (row.size, row.complete, row.held, row.category, row.flags, row.started_at) == (
        None,
        None,
        False,
        None,
        (),
        None,
    )


def test_custody_and_entries(catalogue: Catalogue, writer: Writer) -> None:
    """In the order of the chain; an erased actor is None; acts on no exhibit are entries too."""
    entries = [writer.entry("seal", detail={}), writer.entry("login_failed", None, None, {}), writer.entry("view")]
    catalogue.apply(entries)
    rows = catalogue.custody("X-1")
    assert [(row.log_index, row.n, row.kind, row.actor) for row in rows] == [
        (0, 1, "seal", "P-1"),
        (2, 2, "view", None),
    ]
    assert rows[0].leaf_sha256 == hashlib.sha256(entries[0].leaf).hexdigest()
    assert (catalogue.entry(1).exhibit, catalogue.entry(1).n, catalogue.entry(1).at) == (
        None,
        None,
        START + timedelta(seconds=1),
    )
    assert catalogue.entry(3) is None
    assert catalogue.kinds() == {"seal": 1, "view": 1, "login_failed": 1}


def test_acts_of_a_span(catalogue: Catalogue, writer: Writer) -> None:
    """Both ends count; kinds are counted, those asked for are listed oldest first up to the limit."""
    catalogue.apply([writer.entry(kind) for kind in ("seal", "view", "clock_step", "view", "clock_step", "view")])

    def second(number: int) -> datetime:
        return START + timedelta(seconds=number)

    assert catalogue.kinds_between(second(1), second(3)) == {"view": 2, "clock_step": 1}
    listed = catalogue.of_kinds(("clock_step",), second(0), second(9), 10)
    assert [row.log_index for row in listed] == [2, 4]
    assert [row.log_index for row in catalogue.of_kinds(("view", "seal"), second(0), second(9), 2)] == [0, 1]
    assert catalogue.kinds_between(second(10), second(20)) == {}


def test_acts_that_match(catalogue: Catalogue, writer: Writer) -> None:
    """By kind, actor, exhibit, span (its end exclusive) and whether they are about one; paged by index."""
    catalogue.apply(
        [
            writer.entry("seal", detail={}),
            writer.entry("hold", None, detail={}),
            writer.entry("view"),
            writer.entry("hold"),
        ]
    )

    def listed(limit: int = 10, after: int | None = None, **asked: object) -> list[int]:
        return [row.log_index for row in catalogue.acts(ActFilter(**asked), limit, after)]

    assert listed() == [0, 1, 2, 3]
    assert (listed(2), listed(2, 1), listed(2, 3)) == ([0, 1], [2, 3], [])
    assert (listed(kinds=("hold", "seal")), listed(kinds=())) == ([0, 1, 3], [])
    assert (listed(kinds=("hold",), general=True), listed(exhibit="X-1")) == ([1], [0, 2, 3])
    assert (listed(actor="P-1"), listed(actor="nobody")) == ([0, 1], [])
    assert listed(since=START + timedelta(seconds=1), until=START + timedelta(seconds=3)) == [1, 2]


def test_apply_is_all_or_nothing_and_in_order(catalogue: Catalogue, writer: Writer) -> None:
    """A gap, a repetition or a fault in the middle leaves what was."""
    first, second, third = (writer.entry("view") for _ in range(3))
    for wrong in ([second], [first, third], [first, first]):
        with pytest.raises(MisuseError):
            catalogue.apply(wrong)
        assert (catalogue.applied_size, catalogue.exhibit("X-1")) == (0, None)
    catalogue.apply([])
    catalogue.apply([first, second])
    with pytest.raises(MisuseError):
        catalogue.apply([second])
    assert (catalogue.applied_size, catalogue.exhibit("X-1").n) == (2, 2)


def test_listing(catalogue: Catalogue, writer: Writer) -> None:
    """Pages from the newest, each facet alone, spans by overlap."""
    for number in range(10):
        begin = START + timedelta(hours=number)
        times = {"started_at": begin.isoformat(), "ended_at": (begin + timedelta(minutes=30)).isoformat()}
        detail = {**DETAIL, **times, "recording": f"r{number}", "holder": f"P-{number % 2}"}
        kind = "seal" if number else "receive"
        catalogue.apply([writer.entry(kind, f"X-{number}", {**SEAL, "complete": number != 3}, detail)])
    ids = lambda **facets: [row.id for row in catalogue.exhibits(ExhibitFilter(**facets))]  # noqa: E731
    page = catalogue.exhibits(limit=4)
    assert [row.id for row in page] == ["X-9", "X-8", "X-7", "X-6"]
    assert [row.id for row in catalogue.exhibits(limit=4, after=page[-1].log_index)] == ["X-5", "X-4", "X-3", "X-2"]
    assert ids(recording="r4") == ["X-4"]
    assert ids(complete=False) == ["X-3"]
    assert ids(sealed=False) == ["X-0"]
    assert ids(holder="P-1", device="cam-1") == ["X-9", "X-7", "X-5", "X-3", "X-1"]
    assert ids(held=True) == ids(controller="other") == ids(category="other") == []
    inside = START + timedelta(hours=5, minutes=10)
    assert ids(since=inside, until=inside + timedelta(minutes=5)) == ["X-5"]
    assert catalogue.count() == 10
    assert catalogue.count(ExhibitFilter(holder="P-0")) == 5


KINDS = ["receive", "seal", "categorise", "hold", "release", "view", "amend", "dispose", "other"]


@settings(derandomize=True, max_examples=40, deadline=None)
@given(
    acts=st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 3), st.integers(0, 5)), max_size=25),
    cut=st.integers(0, 25),
)
def test_any_cut_into_batches_gives_the_same(tmp_path_factory, acts: list[tuple[str, int, int]], cut: int) -> None:
    """Applied at once or in two parts: the same rows."""
    writer = Writer()
    entries = [
        writer.entry(kind, f"X-{about}", {"category": f"c{what}"}, {"holder": f"P-{what}"})
        for kind, about, what in acts
    ]
    rows = []
    for parts in ([entries], [entries[:cut], entries[cut:]]):
        one = Catalogue(tmp_path_factory.mktemp("c") / "evidence.db")
        one.open()
        for part in parts:
            one.apply(part)
        rows.append([*one.exhibits(), *(row for about in range(4) for row in one.custody(f"X-{about}"))])
        one.close()
    assert rows[0] == rows[1]


def test_a_full_disk_is_busy(tmp_path: Path, writer: Writer) -> None:
    """StoreBusyError, nothing applied, and the same entries go in once there is space."""
    catalogue = Catalogue(tmp_path / "evidence.db")
    catalogue.open()
    entries = [writer.entry("view", detail={"x": "y"}) for _ in range(500)]
    with catalogue._opened.connect() as link:
        pages = link.exec_driver_sql("PRAGMA page_count").scalar()
        link.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreBusyError):
        catalogue.apply(entries)
    assert catalogue.applied_size == 0
    with catalogue._opened.connect() as link:
        link.exec_driver_sql("PRAGMA max_page_count=1000000")
    catalogue.apply(entries)
    assert catalogue.applied_size == 500
    catalogue.close()


def test_what_nobody_has_examined(catalogue: Catalogue, writer: Writer) -> None:
    """Sealed, with a blob, not disposed of, no `derive` of `media` yet: newest first, in pages."""
    blob = {"blob": "ab" * 16, "size": 3}
    for name in ("X-1", "X-2", "X-3", "X-4"):
        catalogue.apply([writer.entry("receive", name), writer.entry("seal", name, blob)])
    catalogue.apply([writer.entry("receive", "X-5")])
    found = {"playable": "partial", "codecs": ["h264"], "duration_s": 1.5, "media_created_at": "2026-11-21T21:05:03Z"}
    catalogue.apply([writer.entry("derive", "X-2", {"what": "media"}, found), writer.entry("dispose", "X-3")])
    assert [row.id for row in catalogue.unexamined(10)] == ["X-4", "X-1"]
    assert [row.id for row in catalogue.unexamined(1)] == ["X-4"]
    assert [row.id for row in catalogue.unexamined(10, catalogue.exhibit("X-4").log_index)] == ["X-1"]
    assert catalogue.count_unexamined() == 2
    row = catalogue.exhibit("X-2")
    assert (row.codecs, row.duration_s, row.media_created_at) == (
        ("h264",),
        1.5,
        datetime(2026, 11, 21, 21, 5, 3, tzinfo=UTC),
    )
    assert [each.id for each in catalogue.exhibits(ExhibitFilter(playable="partial"))] == ["X-2"]


def test_a_file_of_an_earlier_version(tmp_path: Path, writer: Writer) -> None:
    """It gets the columns that it lacks, and what it holds is as it was; again is no change."""
    import sqlite3

    path = tmp_path / "evidence.db"
    old = Catalogue(path)
    old.open()
    old.apply([writer.entry("receive", "X-1", detail={"device": "cam-1"}), writer.entry("seal", "X-1", {"size": 3})])
    before = old.exhibit("X-1")
    old.close()
    with sqlite3.connect(path) as link:
        for name in ("container", "codecs", "duration_s", "media_created_at", "playable", "media_reason", "thumbnail"):
            link.execute(f"ALTER TABLE exhibit DROP COLUMN {name}")
    link.close()
    for _ in range(2):
        new = Catalogue(path)
        new.open()
        assert new.exhibit("X-1") == before
        new.close()
    new.open()
    new.apply([writer.entry("derive", "X-1", {"what": "media"}, {"playable": "playable"})])
    assert new.exhibit("X-1").playable == "playable"
    new.close()


def test_lifecycle(catalogue: Catalogue, writer: Writer) -> None:
    """Idempotent; closed is said; cleared begins at 0."""
    catalogue.open()
    catalogue.apply([writer.entry("view")])
    catalogue.close()
    catalogue.close()
    with pytest.raises(MisuseError):
        _ = catalogue.applied_size
    catalogue.open()
    assert catalogue.applied_size == 1
    catalogue.clear()
    assert (catalogue.applied_size, catalogue.count()) == (0, 0)
