"""Any run of acts: the catalogue is as rebuilt and as the verifier folds it; holds are as a model has them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence.settings import RetentionSection
from gateway.evidence.verify.store import verify_store
from gateway.evidence.work.acts import Amendment, Categorisation, Review, Transfer
from gateway.evidence.work.desk import HoldWords
from gateway.evidence.work.holds import incident_ref
from gateway.evidence.work.refusals import ConflictError, NoneSuchError, UnfitError
from gateway.evidence.work.terms import Rule
from tests.evidence.work.lab import ANN, BOB, WorkLab, work_lab

REFUSED = (ConflictError, NoneSuchError, UnfitError)
WHO = st.sampled_from([ANN, BOB])
WHICH = st.integers(0, 3)
INCIDENT = st.sampled_from([None, "cc 1", "CC  1", "cc 2"])
COUNT = int(os.environ.get("LAPEL_ACTS", "3"))


def differing(lab: WorkLab) -> list[Any]:
    """What the verifier finds; that these exhibits have no footage is not what this is about."""
    report = verify_store(lab.lab.evidence, lab.lab.directory / "keys")
    assert report.unread == []
    return [each for each in report.findings if each.expected != "a fact blob"]


class Acts(RuleBasedStateMachine):
    """Four exhibits, two people, a second desk; a model of what is held by what."""

    @initialize()
    def begin(self) -> None:
        """A store."""
        self.folder = tempfile.TemporaryDirectory()
        self.lab = WorkLab(Path(self.folder.name), RetentionSection())
        self.names = [self.lab.seal(name, days_ago=number * 20) for number, name in enumerate("abcd")]
        self.holds: dict[str, set[str]] = {name: set() for name in self.names}
        self.incident_holds: dict[str, str] = {}
        self.gone: set[str] = set()

    def do(self, coroutine: Any) -> Any:
        """To its end; None where it was refused."""
        try:
            return asyncio.run(coroutine)
        except REFUSED:
            return None

    @rule(who=WHO, which=WHICH, incident=INCIDENT, kind=st.sampled_from(["evidential", "penalty_notice", "complaint"]))
    def categorise(self, who, which, incident, kind) -> None:
        """With or without what is required."""
        said = Categorisation(category=kind, incident=incident, exhibit_ref="AB/1")
        if self.do(self.lab.desk.categorise(who, self.names[which], said)):
            self.follow(self.names[which])

    @rule(who=WHO, which=WHICH, incident=INCIDENT)
    def amend(self, who, which, incident) -> None:
        """The incident, also to none."""
        said = Amendment(field="incident", now=incident, reason="x")
        if self.do(self.lab.desk.amend(who, self.names[which], said)):
            self.follow(self.names[which])

    @rule(which=WHICH, field=st.sampled_from(["name", "started_at", "holder", "controller"]), day=st.integers(1, 20))
    def correct(self, which, field, day) -> None:
        """Another field."""
        now = f"2026-11-{day:02}T10:00:00.500Z" if field == "started_at" else f"[{day}"
        self.do(self.lab.desk.amend(ANN, self.names[which], Amendment(field=field, now=now, reason="x")))

    @rule(who=WHO, which=WHICH)
    def hold(self, who, which) -> None:
        """One more."""
        done = self.do(self.lab.desk.hold(who, self.names[which], HoldWords(reason="x")))
        if done:
            self.holds[self.names[which]].add(done[0])

    @rule(who=WHO, which=WHICH, pick=st.integers(0, 5))
    def release(self, who, which, pick) -> None:
        """One of those that stand, of an incident or not."""
        name = self.names[which]
        standing = sorted(self.holds[name]) or ["H-none"]
        hold = standing[pick % len(standing)]
        if self.do(self.lab.desk.release(who, name, hold, "x")):
            assert hold not in self.incident_holds
            self.holds[name].discard(hold)

    @rule(who=WHO, incident=st.sampled_from(["CC 1", "cc 2"]))
    def hold_incident(self, who, incident) -> None:
        """From a second desk, as another process."""
        hold, _ = asyncio.run(self.lab.another_desk().hold_incident(who, incident, HoldWords(reason="x")))
        self.incident_holds[hold] = incident_ref(incident)
        for name in self.names:
            self.follow(name)

    @rule(who=WHO, pick=st.integers(0, 5))
    def release_incident(self, who, pick) -> None:
        """One of an incident, everywhere."""
        if self.incident_holds:
            hold = sorted(self.incident_holds)[pick % len(self.incident_holds)]
            asyncio.run(self.lab.desk.release_incident(who, hold, "x"))
            del self.incident_holds[hold]
            for holds in self.holds.values():
                holds.discard(hold)

    @rule(which=WHICH, decision=st.sampled_from(["retain", "case_closed", "none"]))
    def review(self, which, decision) -> None:
        """A review, of something or nothing."""
        self.do(self.lab.desk.review(ANN, self.names[which], Review(decision=decision, reason="x")))

    @rule(which=WHICH, disclosed=st.booleans())
    def transfer(self, which, disclosed) -> None:
        """Gone to another controller, or told."""
        said = Transfer(recipient="r", legal_gateway="l", purpose="p", disclosed=disclosed)
        self.do(self.lab.desk.transfer(ANN, self.names[which], said))

    @rule(days=st.integers(0, 50), applies=st.booleans())
    def change_rule(self, days, applies) -> None:
        """Proposed by one, approved by another."""
        rule_ = Rule(category="penalty_notice", days=days, applies=applies)
        proposal, would = asyncio.run(self.lab.rules.propose(ANN, rule_, "x"))
        assert would.exhibits >= would.earlier + would.later
        asyncio.run(self.lab.rules.approve(BOB, "penalty_notice", proposal.rule.version, "x"))

    @rule(which=WHICH, kind=st.sampled_from(["dispose", "key_destroy"]))
    def destroy(self, which, kind) -> None:
        """Past all work."""
        name = self.names[which]
        asyncio.run(self.lab.log.record_many([Act(kind, "system", ExhibitId(name))]))
        self.gone.add(name)
        self.holds[name] = set()

    def follow(self, name: str) -> None:
        """An exhibit bears its incident's holds; those of an earlier one stay until they are released."""
        if name not in self.gone:
            incident = self.lab.row(name).incident
            self.holds[name] |= {hold for hold, each in self.incident_holds.items() if each == incident}

    @invariant()
    def held_as_the_model_says(self) -> None:
        """Which holds stand, and whether any."""
        for name in self.names:
            row = self.lab.row(name)
            assert (set(row.holds), row.held) == (self.holds[name], bool(self.holds[name]))

    def teardown(self) -> None:
        """The catalogue, a rebuilt one, and the verifier agree."""
        if not hasattr(self, "lab"):
            return
        rows = self.lab.catalogue.exhibits(limit=1000)
        assert self.lab.rebuilt(Path(self.folder.name) / "fresh" / "evidence.db") == rows
        assert asyncio.run(self.lab.rules.keep_up()) == 0
        self.lab.close()
        assert differing(self.lab) == []
        self.folder.cleanup()


@pytest.mark.parametrize("column", ["due", "review_due", "category", "rule", "incident", "held", "holds"])
def test_a_column_that_nobody_wrote(tmp_path: Path, column: str) -> None:
    """The verifier sees each column of this work that is not what the log says."""
    with work_lab(tmp_path) as lab:
        exhibit = lab.seal("a")
        said = Categorisation(category="evidential", incident="cc 1", exhibit_ref="AB/1")
        asyncio.run(lab.desk.categorise(ANN, exhibit, said))
        asyncio.run(lab.desk.hold(ANN, exhibit, HoldWords(reason="x")))
    assert differing(lab) == []
    with sqlite3.connect(tmp_path / "evidence" / "evidence.db") as link:
        link.execute(f"UPDATE exhibit SET {column} = ?", (0 if column == "held" else '["H-9"]',))
    link.close()
    assert column in str(differing(lab))


TestActs = Acts.TestCase
TestActs.settings = settings(
    max_examples=COUNT, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
