"""Retention rules: in force from the configuration, then from the log; changed by two people; applied by entries."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import StoreBusyError
from gateway.evidence.rows import Exhibit
from gateway.evidence.settings import CategorySection, RetentionSection
from gateway.evidence.work.acts import Categorisation, Review
from gateway.evidence.work.comparison import compared
from gateway.evidence.work.desk import Desk
from gateway.evidence.work.refusals import ConflictError, NoneSuchError, UnfitError
from gateway.evidence.work.retention import RuleDesk
from gateway.evidence.work.rules import RuleBook, Worker
from gateway.evidence.work.terms import Decision, Rule, applied, decided, rule_name, ruled
from gateway.working import AgencyTerms, tables
from tests.evidence.work.lab import ANN, AT, BOB, WorkLab, work_lab

TODAY = date(2026, 11, 21)
SHORT = CategorySection("minor", days=40, review_days=None)
TABLE = RetentionSection(category=(SHORT, CategorySection("serious", review_days=900)))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WorkLab]:
    """A desk with two categories."""
    with work_lab(tmp_path, TABLE) as lab:
        yield lab


def run(coroutine):
    """To its end."""
    return asyncio.run(coroutine)


def minor(**more: object) -> Rule:
    """A rule for the short category."""
    return Rule(category="minor", **more)


# --- dates


@given(st.integers(0, 4000), st.integers(0, 4000), st.integers(0, 30))
def test_dates_run_from_the_recording_and_never_end_at_once(days: int, ago: int, grace: int) -> None:
    """Due so long after the recording; the days of grace where that is past, or nearly."""
    row = Exhibit(id="X", started_at=AT - timedelta(days=ago))
    dates = ruled(minor(days=days, review_days=days), row, TODAY, grace)
    plain = TODAY - timedelta(days=ago) + timedelta(days=days)
    assert dates.review_due == plain
    assert dates.due == max(plain, TODAY + timedelta(days=grace))


def test_dates_of_what_has_no_time_and_of_ages() -> None:
    """The arrival counts where nothing says when it was recorded; a period beyond the calendar is its end."""
    assert ruled(minor(days=1), Exhibit(id="X", received_at=AT), TODAY, 0).due == TODAY + timedelta(days=1)
    assert ruled(minor(days=3_000_000), Exhibit(id="X"), TODAY, 0).due == date.max
    assert ruled(minor(review_days=1), Exhibit(id="X"), TODAY, 0).facts() == {"due": None, "review_due": "2026-11-22"}
    assert decided(Decision(name="x", days=0), date(2020, 1, 1), TODAY, 14).due == TODAY + timedelta(days=14)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("PCC/minor@4", ("PCC", "minor", 4, None)),
        ("PCC/minor@4:keep", ("PCC", "minor", 4, "keep")),
        ("PCC/minor", None),
        (None, None),
        ("PCC/minor@x", None),
    ],
)
def test_what_an_exhibit_is_under(name: str | None, read: tuple | None) -> None:
    """The rule is read back from its name."""
    found = applied(Exhibit(id="X", rule=name))
    assert (None if found is None else (found.controller, found.category, found.version, found.decision)) == read
    if found is not None:
        assert rule_name(*read) == name


# --- the book


def test_the_table_is_on_record_before_its_first_use(lab: WorkLab) -> None:
    """From then on the log counts: another figure in the configuration changes nothing, and is told of."""
    exhibit = lab.seal("a")
    run(lab.desk.categorise(ANN, exhibit, Categorisation(category="minor")))
    assert [facts["rule"] for facts, _ in lab.told("rule_change")] == ["*/uncategorised@1", "*/minor@1", "*/serious@1"]
    run(lab.desk.categorise(ANN, lab.seal("b"), Categorisation(category="minor")))
    assert len(lab.told("rule_change")) == 3
    changed = RetentionSection(
        uncategorised_days=1, category=(CategorySection("minor", days=1), CategorySection("new", days=2))
    )
    desk = Desk(lab.log, lab.catalogue, tables(changed), lab.clock)
    run(desk.look())
    book = desk.books.rules
    assert (book.rule("minor", "PCC").days, book.rule("uncategorised", "PCC").days) == (40, 31)
    assert (book.rule("new", "PCC").days, book.rule("serious", "PCC").review_days) == (2, 900)
    assert book.unheeded() == ["*/uncategorised@1", "*/minor@1"]
    assert [act.facts["rule"] for act in book.adoption()] == ["*/new@1"]


def test_a_controller_of_its_own(lab: WorkLab) -> None:
    """Its rule goes before everybody's; versions are a category's, whoever the controller."""
    change(lab, minor(controller="CAMBS", days=400))
    change(lab, minor(days=50))
    book = lab.desk.books.rules
    assert [(rule.name, rule.days) for rule in book.in_force() if rule.category == "minor"] == [
        *(("*/minor@3", 50), ("CAMBS/minor@2", 400)),
    ]
    assert (book.rule("minor", "PCC").days, book.rule("minor", "CAMBS").days, book.rule("none", "PCC")) == (
        *(50, 400, None),
    )


def change(lab: WorkLab, rule: Rule) -> Rule:
    """Proposed by one, approved by another."""
    proposal, _ = run(lab.rules.propose(ANN, rule, "policy"))
    return run(lab.rules.approve(BOB, rule.category, proposal.rule.version, "agreed"))[0]


@pytest.mark.parametrize("approver", [ANN, Worker("ann-2", "P-1"), Worker("cli:ann")])
def test_nobody_approves_their_own(lab: WorkLab, approver: Worker) -> None:
    """Neither under another account nor from a terminal; and what is proposed is in force for nobody."""
    proposal, _ = run(lab.rules.propose(ANN, minor(days=1), "policy"))
    with pytest.raises(ConflictError, match="second person"):
        run(lab.rules.approve(approver, "minor", proposal.rule.version, "me"))
    assert lab.desk.books.rules.rule("minor", "PCC").days == 40
    run(lab.rules.approve(BOB, "minor", proposal.rule.version, "agreed"))
    assert run(RuleDesk(lab.another_desk()).rules())[0][0].days == 1
    with pytest.raises(NoneSuchError):
        run(lab.rules.approve(BOB, "minor", proposal.rule.version, "again"))
    facts, detail = lab.told("rule_change")[-1]
    assert (facts["approved"], facts["days"], facts["version"]) == (True, 1, 2)
    assert (detail["proposer"], detail["approver"], "ann" in str(facts)) == ("ann", "bob", False)


def test_a_proposal_that_was_overtaken(lab: WorkLab) -> None:
    """Once a later one of the same rule is in force, the earlier cannot be; one of another controller can."""
    older, _ = run(lab.rules.propose(ANN, minor(days=1), "x"))
    other, _ = run(lab.rules.propose(ANN, minor(controller="CAMBS", days=2), "x"))
    change(lab, minor(days=3))
    with pytest.raises(NoneSuchError, match="overtaken"):
        run(lab.rules.approve(BOB, "minor", older.rule.version, "x"))
    run(lab.rules.approve(BOB, "minor", other.rule.version, "x"))
    assert lab.desk.books.rules.rule("minor", "CAMBS").days == 2


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (minor(), "review_days"),
        (Rule(category="a/b", days=1), "category"),
        (Rule(category="a@1", days=1), "category"),
        (Rule(category=" a", days=1), "category"),
        (Rule(category="", days=1), "category"),
        (minor(days=1, controller="P:C"), "controller"),
        (Rule(category="uncategorised", review_days=3), "days"),
        (Rule(category="uncategorised", days=3, required=("x",)), "days"),
    ],
)
def test_rules_that_cannot_be(lab: WorkLab, rule: Rule, words: str) -> None:
    """Named, nothing on record."""
    before = lab.log.size
    with pytest.raises(UnfitError, match=words):
        run(lab.rules.propose(ANN, rule, "x"))
    assert lab.log.size == before


def test_entries_that_say_no_rule() -> None:
    """Change nothing."""
    book = RuleBook((minor(days=5),))
    book.take({"kind": "rule_change", "category": 7, "approved": True}, {})
    book.take({"kind": "rule_change", "category": "minor", "version": 9, "days": 1, "approved": False}, None)
    assert (book.rule("minor", "PCC").days, book.proposals) == (5, {})
    assert book.proposal(minor(days=2)).version == 10


# --- what it does to what is categorised already


def filed(lab: WorkLab) -> list[str]:
    """Three exhibits of the category: fresh, old, of another controller; and one that was reviewed."""
    names = [lab.seal("a"), lab.seal("b", days_ago=30), lab.seal("c", controller="CAMBS"), lab.seal("d")]
    for name in names:
        run(lab.desk.categorise(ANN, name, Categorisation(category="minor")))
    run(lab.desk.review(ANN, names[3], Review(decision="retain", reason="x")))
    return names


def test_a_dry_run(lab: WorkLab) -> None:
    """Counts and lists what would move, which way; a review's word stands; nothing is on record."""
    fresh, old, other, _ = filed(lab)
    before = lab.log.size
    _, would = run(lab.rules.compare(minor(days=100)))
    assert would.counts() == {"exhibits": 3, "earlier": 0, "later": 3, "reviews": 0}
    _, would = run(lab.rules.compare(minor(days=20, controller="PCC")))
    assert would.counts() == {"exhibits": 2, "earlier": 1, "later": 0, "reviews": 0}
    assert {each.exhibit: each.would_be.due for each in would.moved} == {fresh: TODAY + timedelta(days=20)}
    assert lab.row(old).due == "2026-12-05", "within its days of grace either way"
    assert lab.row(other).due == "2026-12-31"
    assert lab.log.size == before


def test_dates_move_by_entries_alone(lab: WorkLab) -> None:
    """A rule that does not apply leaves them; one that does gives each exhibit an entry that says what was."""
    fresh, old, other, reviewed = filed(lab)
    was = [lab.row(each).due for each in (fresh, old, other, reviewed)]
    change(lab, minor(days=100))
    assert [lab.row(each).due for each in (fresh, old, other, reviewed)] == was
    change(lab, minor(days=100, review_days=5, controller="PCC", applies=True))
    assert (lab.row(fresh).due, lab.row(fresh).rule) == ("2027-03-01", "PCC/minor@3")
    assert (lab.row(old).review_due, lab.row(other).due, lab.row(reviewed).due) == ("2026-10-27", was[2], None)
    told = [detail["was"] for facts, detail in lab.told("rule_change") if facts.get("exhibit") == fresh]
    assert told == [{"rule": "PCC/minor@1", "due": was[0], "review_due": None}]
    assert run(lab.rules.keep_up()) == 0


def test_an_application_that_was_cut_off(lab: WorkLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash half-way: whoever looks next gives the rest their dates, and nobody a second time."""
    monkeypatch.setattr("gateway.evidence.work.desk.AT_ONCE", 1)
    names, real, left = filed(lab)[:3], lab.log.record_many, [2]
    proposal, _ = run(lab.rules.propose(ANN, minor(days=100, applies=True), "x"))

    async def record_many(acts):
        if not left[0]:
            raise StoreBusyError("gone")
        left[0] -= 1
        return await real(acts)

    with monkeypatch.context() as patch:
        patch.setattr(lab.log, "record_many", record_many)
        with pytest.raises(StoreBusyError):
            run(lab.rules.approve(BOB, "minor", proposal.rule.version, "x"))
    assert sorted(lab.row(each).rule[-1] for each in names) == ["1", "1", "2"]
    assert run(RuleDesk(lab.another_desk()).keep_up()) == 2
    assert [lab.row(each).rule[-1] for each in names] == ["2", "2", "2"]
    assert run(RuleDesk(lab.another_desk()).keep_up()) == 0


def test_new_footage_follows_the_rule_in_force(lab: WorkLab) -> None:
    """What nobody has categorised is due as the log says, once it says anything."""

    class People:
        def device(self, device):
            return None

    lab.desk.books.look()
    terms = AgencyTerms(People(), lab.desk.books)
    assert terms.terms("cam-1", AT).due == TODAY + timedelta(days=31)
    change(lab, Rule(category="uncategorised", controller="unassigned", days=60))
    found = terms.terms("cam-1", AT)
    assert (found.due, found.rule) == (TODAY + timedelta(days=60), "unassigned/uncategorised@2")


def test_a_long_list_is_cut_and_counted() -> None:
    """Each is counted, the first thousand are listed."""
    rows = [Exhibit(id=f"X-{n}", category="minor", controller="PCC", rule="PCC/minor@1") for n in range(1100)]
    would = compared(rows, minor(days=1, version=2), RuleBook(()), TODAY, 0)
    assert (would.exhibits, len(would.moved)) == (1100, 1000)
