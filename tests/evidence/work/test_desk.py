"""The desk: each act is on record with who and why, changes the exhibit as it says, or is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.errors import StoreBusyError
from gateway.evidence.rows import ExhibitFilter
from gateway.evidence.work.acts import Amendment, Categorisation, Review, Transfer
from gateway.evidence.work.desk import HoldWords
from gateway.evidence.work.refusals import ConflictError, NoneSuchError, UnfitError
from tests.evidence.way_out import walk
from tests.evidence.work.lab import ANN, BOB, WorkLab, work_lab

EVIDENTIAL = Categorisation(category="evidential", exhibit_ref="AB/1", incident="cc 12/26")
WHY = HoldWords(reason="court order")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WorkLab]:
    """A desk."""
    with work_lab(tmp_path) as lab:
        yield lab


def run(coroutine):
    """To its end."""
    return asyncio.run(coroutine)


def test_categorised(lab: WorkLab) -> None:
    """Category, rule and dates in clear; what leads to people in the detail; the catalogue follows."""
    exhibit = lab.seal("a")
    row = run(lab.desk.categorise(ANN, exhibit, EVIDENTIAL))
    assert (row.category, row.rule, row.due, row.review_due) == (
        *("evidential", "PCC/evidential@1", None, "2027-11-21"),
    )
    assert (row.exhibit_ref, row.incident) == ("AB/1", "CC 12/26")
    ((facts, detail),) = lab.told("categorise")
    assert {"category", "rule", "due", "review_due"} <= facts.keys()
    assert "AB/1" not in str(facts)
    assert (detail["actor"], detail["exhibit_ref"]) == ("ann", "AB/1")


def test_categorised_again(lab: WorkLab) -> None:
    """What was said before counts for the required fields; what is soon due has its days of grace."""
    exhibit = lab.seal("a", days_ago=400)
    run(lab.desk.categorise(ANN, exhibit, EVIDENTIAL))
    row = run(lab.desk.categorise(BOB, exhibit, Categorisation(category="penalty_notice")))
    assert (row.category, row.incident, row.review_due) == ("penalty_notice", "CC 12/26", "2026-04-18")
    row = run(lab.desk.categorise(BOB, exhibit, Categorisation(category="non_evidential")))
    assert (row.due, row.review_due) == ("2026-12-05", None)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Categorisation(category="evidential", exhibit_ref="AB/1"), "incident: is required"),
        (Categorisation(category="evidential", exhibit_ref=" ", incident="x"), "exhibit_ref: is required"),
        (Categorisation(category="complaint"), "reference: is required"),
        (Categorisation(category="uncategorised"), "category: 'uncategorised' is not one of complaint"),
        (Categorisation(category="evidentail"), "not one of"),
    ],
)
def test_a_categorisation_that_lacks_something(lab: WorkLab, said: Categorisation, words: str) -> None:
    """Named, and nothing is on record."""
    exhibit, before = lab.seal("a"), lab.log.size
    with pytest.raises(UnfitError, match=words):
        run(lab.desk.categorise(ANN, exhibit, said))
    assert lab.log.size == before


def test_annotated(lab: WorkLab) -> None:
    """In the detail alone, with its place in the recording."""
    exhibit = lab.seal("a")
    run(lab.desk.annotate(ANN, exhibit, "a red van", 12.5))
    ((facts, detail),) = lab.told("annotate")
    assert (detail["text"], detail["at_s"], "van" in str(facts)) == ("a red van", 12.5, False)
    for text, at_s in ((" ", None), ("x", float("nan")), ("x", -1.0)):
        with pytest.raises(UnfitError):
            run(lab.desk.annotate(ANN, exhibit, text, at_s))


@pytest.mark.parametrize(
    ("field", "now", "column"),
    [
        ("started_at", "2026-11-21T20:00:00Z", "2026-11-21T20:00:00+00:00"),
        ("name", "market.mp4", "market.mp4"),
        ("holder", "P-7", "P-7"),
        ("incident", " cc  9/26 ", "CC 9/26"),
        ("controller", "CAMBS", "CAMBS"),
    ],
)
def test_amended(lab: WorkLab, field: str, now: str, column: str) -> None:
    """The field is what it should be; what it was stays on record."""
    exhibit = lab.seal("a")
    was = getattr(lab.row(exhibit), field)
    row = run(lab.desk.amend(ANN, exhibit, Amendment(field=field, now=now, reason="clock was wrong")))
    shown = getattr(row, field)
    assert (shown.isoformat() if field == "started_at" else shown) == column
    ((_, detail),) = lab.told("amend")
    assert (detail["field"], detail["reason"]) == (field, "clock was wrong")
    assert (detail["was"] is None) == (was is None)
    with pytest.raises(UnfitError, match="already"):
        run(lab.desk.amend(ANN, exhibit, Amendment(field=field, now=now, reason="again")))


def test_amended_to_nothing(lab: WorkLab) -> None:
    """A reference can be taken away; a name or a time cannot, nor can a recording end before it began."""
    exhibit = lab.seal("a")
    run(lab.desk.categorise(ANN, exhibit, EVIDENTIAL))
    assert run(lab.desk.amend(ANN, exhibit, Amendment(field="incident", now=None, reason="wrong"))).incident is None
    for field, now in (("name", None), ("started_at", None), ("started_at", "yesterday"), ("name", "  ")):
        with pytest.raises(UnfitError, match="now"):
            run(lab.desk.amend(ANN, exhibit, Amendment(field=field, now=now, reason="x")))
    with pytest.raises(UnfitError, match="before it began"):
        run(lab.desk.amend(ANN, exhibit, Amendment(field="ended_at", now="2020-01-01T00:00:00Z", reason="x")))


def test_several_holds(lab: WorkLab) -> None:
    """Each by itself: the last one released lets go; who released which is on record."""
    exhibit = lab.seal("a")
    first, _ = run(lab.desk.hold(ANN, exhibit, WHY))
    second, row = run(lab.desk.hold(BOB, exhibit, HoldWords(reason="SAR", reference="S-9", until=date(2027, 1, 1))))
    assert (row.held, row.holds) == (True, (first, second))
    assert all(len(name) == 14 and name.startswith("H-") for name in (first, second))
    row = run(lab.desk.release(BOB, exhibit, first, "order lapsed"))
    assert (row.held, row.holds) == (True, (second,))
    with pytest.raises(ConflictError, match="no hold"):
        run(lab.desk.release(BOB, exhibit, first, "again"))
    assert run(lab.desk.release(ANN, exhibit, second, "answered")).held is False
    assert [detail["actor"] for _, detail in lab.told("release")] == ["bob", "ann"]
    with pytest.raises(UnfitError, match="until"):
        run(lab.desk.hold(ANN, exhibit, HoldWords(reason="x", until=date(2020, 1, 1))))


def test_a_hold_by_incident(lab: WorkLab) -> None:
    """Holds what bears the reference, now and later, however it is written; released, it lets go of all."""
    now, later, other = lab.seal("a"), lab.seal("b"), lab.seal("c")
    run(lab.desk.categorise(ANN, now, EVIDENTIAL))
    hold, names = run(lab.desk.hold_incident(BOB, "Cc 12/26", WHY))
    assert names == [now]
    row = run(lab.another_desk().categorise(ANN, later, EVIDENTIAL))
    assert row.holds == (hold,)
    row = run(lab.desk.amend(ANN, other, Amendment(field="incident", now="CC 12/26", reason="same place")))
    assert row.holds == (hold,)
    own, _ = run(lab.desk.hold(ANN, other, WHY))
    with pytest.raises(ConflictError, match="release that"):
        run(lab.desk.release(ANN, now, hold, "x"))
    assert sorted(run(lab.desk.release_incident(ANN, hold, "acquitted"))) == sorted([now, later, other])
    assert [lab.row(each).held for each in (now, later, other)] == [False, False, True]
    assert lab.row(other).holds == (own,)
    with pytest.raises(ConflictError):
        run(lab.desk.release_incident(ANN, hold, "again"))
    with pytest.raises(NoneSuchError):
        run(lab.desk.release_incident(ANN, own, "not of an incident"))
    assert run(lab.desk.categorise(ANN, lab.seal("d"), EVIDENTIAL)).holds == ()


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_hold_by_incident_that_was_cut_off(lab: WorkLab, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    """A crash between two batches: whoever looks next brings it to its end, and a release likewise."""
    monkeypatch.setattr("gateway.evidence.work.desk.AT_ONCE", 1)
    exhibits = [lab.seal(name) for name in "abc"]
    for each in exhibits:
        run(lab.desk.categorise(ANN, each, EVIDENTIAL))
    cut_off(lab, monkeypatch, stop, lambda desk: desk.hold_incident(BOB, "CC 12/26", WHY))
    run(lab.rules.keep_up())
    (hold,) = {name for each in exhibits for name in lab.row(each).holds}
    assert all(lab.row(each).holds == (hold,) for each in exhibits)
    cut_off(lab, monkeypatch, stop, lambda desk: desk.release_incident(BOB, hold, "over"))
    assert any(lab.row(each).held for each in exhibits)
    run(lab.rules.keep_up())
    assert not any(lab.row(each).held for each in exhibits)
    before = lab.log.size
    assert run(lab.rules.keep_up()) == 0
    assert lab.log.size == before


def cut_off(lab: WorkLab, monkeypatch: pytest.MonkeyPatch, stop: int, act) -> None:
    """Run an act at a desk whose log takes so many batches and then no more."""
    desk, left, real = lab.another_desk(), [stop], lab.log.record_many

    async def record_many(acts):
        if not left[0]:
            raise StoreBusyError("gone")
        left[0] -= 1
        return await real(acts)

    with monkeypatch.context() as patch:
        patch.setattr(lab.log, "record_many", record_many)
        with pytest.raises(StoreBusyError):
            run(act(desk))


def test_reviewed(lab: WorkLab) -> None:
    """The decision gives the dates, from the date that it names, with grace; the rule says that a review set them."""
    exhibit = lab.seal("a")
    with pytest.raises(ConflictError, match="not categorised"):
        run(lab.desk.review(ANN, exhibit, Review(decision="retain", reason="x")))
    run(lab.desk.categorise(ANN, exhibit, EVIDENTIAL))
    row = run(lab.desk.review(BOB, exhibit, Review(decision="retain", reason="trial in March")))
    assert (row.due, row.review_due, row.rule) == (None, "2027-11-21", "PCC/evidential@1:retain")
    said = Review(decision="convicted", reason="six months", since=date(2026, 10, 1))
    row = run(lab.desk.review(BOB, exhibit, said))
    assert (row.due, row.review_due) == ("2027-04-02", None)
    said = Review(decision="case_closed", reason="acquitted", since=date(2026, 1, 1))
    assert run(lab.desk.review(BOB, exhibit, said)).due == "2026-12-05"
    facts, detail = lab.told("review")[0]
    assert (facts["decision"], detail["reviewer"]) == ("retain", "P-2")
    with pytest.raises(UnfitError, match="decision"):
        run(lab.desk.review(BOB, exhibit, Review(decision="burn", reason="x")))
    assert run(lab.desk.categorise(ANN, exhibit, EVIDENTIAL)).rule == "PCC/evidential@1"


def test_transferred(lab: WorkLab) -> None:
    """To whom, by what right, for what; a disclosure is a kind of its own; a new controller is the exhibit's."""
    exhibit = lab.seal("a")
    said = Transfer(recipient="CPS", legal_gateway="CPIA 1996", purpose="prosecution", controller="CAMBS")
    assert run(lab.desk.transfer(ANN, exhibit, said)).controller == "CAMBS"
    told = Transfer(recipient="Ms A", legal_gateway="DPA 2018 s.45", purpose="SAR", disclosed=True)
    assert run(lab.desk.transfer(ANN, exhibit, told)).controller == "CAMBS"
    assert lab.told("transfer")[0][1]["recipient"] == "CPS"
    assert lab.told("disclose")[0][1]["legal_gateway"] == "DPA 2018 s.45"
    for wrong in (
        Transfer(recipient=" ", legal_gateway="x", purpose="x"),
        Transfer(recipient="x", legal_gateway="x", purpose="x", disclosed=True, controller="CAMBS"),
    ):
        with pytest.raises(UnfitError):
            run(lab.desk.transfer(ANN, exhibit, wrong))


@pytest.mark.parametrize("kind", ["dispose", "key_destroy"])
def test_what_is_gone_is_past_work(lab: WorkLab, kind: str) -> None:
    """Every act is a conflict, and nothing is on record; a hold by incident passes it by."""
    gone, unsealed = lab.seal("a"), ExhibitId("X-u")
    run(lab.desk.categorise(ANN, gone, EVIDENTIAL))
    walk(lab.log, gone, kind)
    lab.log.record_now(Act("receive", "system", unsealed))
    before = lab.log.size
    for exhibit in (gone, unsealed):
        for act in every_act(lab, exhibit):
            with pytest.raises(ConflictError):
                run(act)
    for act in every_act(lab, "X-none"):
        with pytest.raises(NoneSuchError):
            run(act)
    assert lab.log.size == before
    assert run(lab.desk.hold_incident(ANN, "CC 12/26", WHY))[1] == []


def every_act(lab: WorkLab, exhibit: str) -> list:
    """One of each."""
    desk = lab.desk
    return [
        desk.categorise(ANN, exhibit, EVIDENTIAL),
        desk.annotate(ANN, exhibit, "x", None),
        desk.amend(ANN, exhibit, Amendment(field="name", now="y", reason="x")),
        desk.hold(ANN, exhibit, WHY),
        desk.release(ANN, exhibit, "H-1", "x"),
        desk.review(ANN, exhibit, Review(decision="retain", reason="x")),
        desk.transfer(ANN, exhibit, Transfer(recipient="x", legal_gateway="x", purpose="x")),
    ]


def test_the_work_lists(lab: WorkLab) -> None:
    """Uncategorised and about to expire; reviews that are due; what is held, by which hold; by references."""
    soon, fresh, filed = lab.seal("a", days_ago=28), lab.seal("b"), lab.seal("c", days_ago=400)
    run(lab.desk.categorise(ANN, filed, EVIDENTIAL))
    hold, _ = run(lab.desk.hold(ANN, fresh, WHY))

    def asked(**facets: object) -> list[str]:
        return [row.id for row in lab.catalogue.exhibits(ExhibitFilter(**facets))]

    assert asked(category="uncategorised", due_before="2026-11-28", held=False) == [soon]
    assert asked(review_before="2026-11-22") == [filed]
    assert asked(review_before="2026-10-17") == []
    assert (asked(hold=hold), asked(held=True), asked(hold="H-no")) == ([fresh], [fresh], [])
    assert (asked(incident="CC 12/26"), asked(exhibit_ref="AB/1"), asked(incident="X")) == ([filed], [filed], [])
    run(lab.desk.release(BOB, fresh, hold, "over"))
    walk(lab.log, fresh)
    assert sorted(asked(present=True)) == sorted([soon, filed])
    assert asked(present=False) == [fresh]


def test_holds_to_be_looked_at_again(lab: WorkLab) -> None:
    """Each with why and until when; by day; an incident's is listed once, whatever it holds."""
    first, second = lab.seal("a"), lab.seal("b")
    run(lab.desk.categorise(ANN, first, EVIDENTIAL))
    plain, _ = run(lab.desk.hold(ANN, first, WHY))
    dated, _ = run(lab.desk.hold(BOB, second, HoldWords(reason="SAR", reference="S-9", until=date(2027, 1, 1))))
    whole, _ = run(lab.desk.hold_incident(ANN, "cc 12/26", HoldWords(reason="trial", until=date(2027, 2, 1))))
    incidents, exhibits = run(lab.desk.holds())
    assert [(each.hold, each.stands) for each in incidents] == [(whole, True)]
    found = {each.hold: (each.exhibit, each.reason, each.until, each.by) for each in exhibits}
    assert found == {plain: (first, "court order", None, "ann"), dated: (second, "SAR", "2027-01-01", "bob")}
    assert [[each.hold for each in part] for part in run(lab.desk.holds(date(2027, 1, 2)))] == [[], [dated]]
    assert [[each.hold for each in part] for part in run(lab.desk.holds(date(2027, 2, 2)))] == [[whole], [dated]]
    run(lab.desk.release_incident(ANN, whole, "over"))
    assert run(lab.desk.holds(date(2027, 2, 2)))[0] == []
    assert run(lab.desk.holds())[0][0].stands is False
