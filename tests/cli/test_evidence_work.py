"""`lapel evidence categorise` to `transfer`, `audit`, `lapel retention`: acts from a terminal, on record."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from gateway.evidence_half import records_at
from tests.cli.conftest import Lapel

ROLES = "administrator"


@pytest.fixture
def config(store: Path) -> Path:
    """A configuration of that store, with a category and a decision of its own."""
    file = store.parent / "lapel.toml"
    file.write_text(
        f"""
[gateway]
data = "{store}"
[log]
origin = "lapel.test/log"
[retention]
grace_days = 7
[[retention.category]]
name = "theft"
required = ["incident", "collar"]
review_days = 90
[[retention.category]]
name = "nothing"
days = 10
[[retention.decision]]
name = "keep"
review_days = 30
"""
    )
    return file


def exhibits(lapel: Lapel, store: Path) -> list[str]:
    """Ids, newest first."""
    return [row["id"] for row in lapel("evidence", "list", "--data", store, "--json").json["exhibits"]]


def logged(store: Path, kind: str) -> list[dict]:
    """Details of the entries of a kind."""
    with records_at(store / "evidence", store / "keys") as opened:
        log = opened.custody
        return [log.detail(n)[0] for n in range(log.size) if json.loads(log.leaf(n))["kind"] == kind]


def test_a_day_of_an_evidence_officer(lapel: Lapel, store: Path, config: Path) -> None:
    """Categorise, note, hold, correct, review, hand over: each told, each on record, and the store verifies."""
    exhibit = exhibits(lapel, store)[0]
    words = ("--incident", "cc 9/26", "--field", "collar=7714", "-c", config)
    done = lapel("evidence", "categorise", exhibit, "--category", "theft", *words, "--json")
    assert (done.code, done.json["exhibit"]["rule"]) == (0, f"{controller(done)}/theft@1"), done
    assert lapel("evidence", "annotate", exhibit, "a red van", "--at", 3, "--data", store).code == 0
    hold = lapel(
        "evidence", "hold", exhibit, "--reason", "court", "--until", "2099-01-01", "--data", store, "--json"
    ).json
    assert (hold["exhibits"], hold["hold"][:2]) == ([exhibit], "H-")
    done = lapel("evidence", "amend", exhibit, "name", "--now", "=van.mp4", "--reason", "misnamed", "--data", store)
    assert (done.code, hold["hold"] in done.out) == (0, True)
    row = lapel("evidence", "review", exhibit, "--decision", "keep", "--reason", "trial", "-c", config, "--json").json
    assert row["exhibit"]["rule"].endswith("theft@1:keep")
    to = ("--recipient", "CPS", "--legal-gateway", "CPIA", "--purpose", "=trial")
    assert lapel("evidence", "transfer", exhibit, *to, "--disclosed", "--data", store).code == 0
    done = lapel("evidence", "release", exhibit, "--hold", hold["hold"], "--reason", "over", "--data", store)
    assert (done.code, "releases 1" in done.out) == (0, True)
    chain = lapel("evidence", "show", exhibit, "--data", store, "--json").json["custody"]
    acts = ["categorise", "annotate", "hold", "amend", "review", "disclose", "release"]
    assert [each["kind"] for each in chain if each["kind"] in acts] == acts
    assert all(each["actor"].startswith("cli:") for each in chain if each["kind"] in acts)
    assert lapel("evidence", "verify", "--all", "--data", store).code == 0
    audited(lapel, store, exhibit)


def controller(done) -> str:
    """Whose exhibit it is."""
    return done.json["exhibit"]["controller"]


def audited(lapel: Lapel, store: Path, exhibit: str) -> None:
    """Six verbs, counted and listed, the report itself on record; no cell of its CSV is a formula."""
    span = ("--from", "2020-01-01T00:00:00Z", "--data", store)
    verbs = {each["verb"]: each for each in lapel("evidence", "audit", *span, "--json").json["verbs"]}
    assert list(verbs) == [
        *("collection", "alteration", "consultation", "disclosure", "combination", "erasure", "other"),
    ]
    assert verbs["alteration"]["kinds"]["hold"] == 1
    assert (verbs["erasure"]["count"], "dispose" in verbs["erasure"]["kinds"]) == (0, True)
    (told,) = verbs["disclosure"]["acts"]
    assert (told["recipient"], told["justification"], told["exhibit"]) == ("CPS", "=trial", exhibit)
    done = lapel("evidence", "audit", *span, "--csv", "--purpose", "year's end")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert next(row["justification"] for row in rows if row["kind"] == "disclose") == "'=trial"
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert "disclosure" in lapel("evidence", "audit", *span).out
    purposes = [each["purpose"] for each in logged(store, "browse") if each.get("what") == "audit"]
    assert purposes[1] == "year's end"
    assert len(purposes) == 3


def test_a_hold_by_incident(lapel: Lapel, store: Path, config: Path) -> None:
    """From the terminal: what is there, what comes later, and all let go of."""
    first, second = exhibits(lapel, store)
    words = ("--field", "collar=1", "-c", config)
    lapel("evidence", "categorise", first, "--category", "theft", "--incident", "cc 9", *words)
    hold = lapel("evidence", "hold", "--incident", "CC 9", "--reason", "SAR", "--data", store, "--json").json
    assert hold["exhibits"] == [first]
    done = lapel("evidence", "categorise", second, "--category", "theft", "--incident", "CC 9", *words, "--json")
    assert done.json["exhibit"]["holds"] == [hold["hold"]]
    assert lapel("evidence", "holds", "--data", store, "--json").json["holds"][0]["stands"] is True
    refused = lapel("evidence", "release", first, "--hold", hold["hold"], "--reason", "x", "--data", store)
    assert (refused.code, "release that" in refused.err) == (1, True)
    done = lapel("evidence", "release", "--hold", hold["hold"], "--reason", "x", "--data", store, "--json")
    assert sorted(done.json["exhibits"]) == sorted([first, second])
    assert "released" in lapel("evidence", "holds", "--data", store).out
    assert lapel("evidence", "verify", "--all", "--data", store).code == 0


def test_a_rule_takes_two(lapel: Lapel, store: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared, proposed, refused to the proposer, approved by somebody else, applied by an entry of its own."""
    exhibit = exhibits(lapel, store)[0]
    lapel("evidence", "categorise", exhibit, "--category", "nothing", "-c", config)
    before = (store / "evidence/log/checkpoint").read_text()
    would = lapel("retention", "dry-run", "nothing", "--days", 400, "--applies", "-c", config, "--json").json["would"]
    assert (would["exhibits"], would["later"], would["earlier"]) == (1, 1, 0)
    assert (store / "evidence/log/checkpoint").read_text() == before
    words = ("--days", 400, "--applies", "--reason", "policy 12", "-c", config)
    assert lapel("retention", "propose", "nothing", *words, "--json").json["name"] == "*/nothing@2"
    assert "policy 12" in lapel("retention", "rules", "-c", config).out
    refused = lapel("retention", "approve", "nothing", 2, "--reason", "yes", "-c", config)
    assert (refused.code, "second person" in refused.err) == (1, True)
    monkeypatch.setattr("getpass.getuser", lambda: "supervisor")
    assert lapel("retention", "approve", "nothing", 2, "--reason", "yes", "-c", config).code == 0
    row = lapel("evidence", "show", exhibit, "--data", store, "--json").json["exhibit"]
    assert (row["rule"].endswith("nothing@2"), row["due"] > "2027") == (True, True)
    rules = {rule["category"]: rule for rule in lapel("retention", "rules", "-c", config, "--json").json["rules"]}
    assert (rules["nothing"]["days"], rules["uncategorised"]["days"]) == (400, 31)
    assert lapel("retention", "approve", "nothing", 2, "--reason", "yes", "-c", config).code == 1
    assert lapel("evidence", "verify", "--all", "--data", store).code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("evidence", "categorise", "X-NO", "--category", "theft", "CONFIG"), 1, "no exhibit"),
        (("evidence", "categorise", "X-NO", "--category", "theft", "DATA"), 2, "give -c FILE"),
        (("evidence", "categorise", "EXHIBIT", "--category", "teft", "CONFIG"), 2, "nothing, theft"),
        (("evidence", "categorise", "EXHIBIT", "--category", "theft", "CONFIG"), 2, "incident: is required"),
        (("evidence", "categorise", "EXHIBIT", "--category", "theft", "--field", "x", "CONFIG"), 2, "NAME=TEXT"),
        (("evidence", "annotate", "EXHIBIT", " ", "DATA"), 2, "text: says nothing"),
        (("evidence", "annotate", "EXHIBIT", "x", "--at", "nan", "DATA"), 2, "at_s"),
        (("evidence", "amend", "EXHIBIT", "sha256", "--reason", "x", "DATA"), 2, "sha256"),
        (("evidence", "amend", "EXHIBIT", "name", "--reason", "x", "DATA"), 2, "now"),
        (("evidence", "hold", "--reason", "x", "DATA"), 2, "EXHIBIT or an --incident"),
        (("evidence", "hold", "EXHIBIT", "--reason", "x", "--until", "soon", "DATA"), 2, "not a day"),
        (("evidence", "release", "EXHIBIT", "--hold", "H-NO", "--reason", "x", "DATA"), 1, "no hold"),
        (("evidence", "release", "--hold", "H-NO", "--reason", "x", "DATA"), 1, "no hold of an incident"),
        (("evidence", "review", "EXHIBIT", "--decision", "keep", "--reason", "x", "CONFIG"), 1, "not categorised"),
        (("retention", "propose", "a/b", "--days", "3", "--reason", "x", "CONFIG"), 2, "not a name"),
        (("retention", "propose", "b", "--reason", "x", "CONFIG"), 2, "review_days"),
        (("retention", "approve", "b", "7", "--reason", "x", "CONFIG"), 1, "no proposal"),
        (("retention", "rules", "DATA"), 2, "give -c FILE"),
        (("evidence", "audit", "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z", "DATA"), 2, "before"),
        (("evidence", "audit", "--from", "2026-01-02T00:00:00Z", "--purpose", " ", "DATA"), 2, "says nothing"),
    ],
)
def test_what_cannot_be(lapel: Lapel, store: Path, config: Path, words: tuple[str, ...], code: int, said: str) -> None:
    """Exit codes as everywhere, said why, nothing on record."""
    exhibit = exhibits(lapel, store)[0]
    before = (store / "evidence/log/checkpoint").read_text()
    swap = {"EXHIBIT": [exhibit], "CONFIG": ["-c", config], "DATA": ["--data", store]}
    done = lapel(*(part for word in words for part in swap.get(word, [word])))
    assert (done.code, said in done.err) == (code, True), done
    assert (store / "evidence/log/checkpoint").read_text() == before


def test_a_role_that_changes(lapel: Lapel, bare: Path) -> None:
    """The account has the new roles alone; one that is none is refused."""
    lapel("user", "add", "ann", "--role", "auditor", "--data", bare)
    done = lapel("user", "roles", "ann", "--role", "evidence_officer", "--data", bare)
    assert (done.code, "was auditor" in done.out) == (0, True)
    assert lapel("user", "list", "--data", bare, "--json").json["users"][0]["roles"] == ["evidence_officer"]
    assert lapel("user", "roles", "ann", "--role", "king", "--data", bare).code == 2
    assert lapel("user", "roles", "bob", "--role", "auditor", "--data", bare).code == 1


def test_a_role_that_changes_is_on_record(lapel: Lapel, store: Path) -> None:
    """With what it was."""
    lapel("user", "add", "ann", "--role", "auditor", "--data", store)
    lapel("user", "roles", "ann", "--role", ROLES, "--data", store)
    last = logged(store, "account")[-1]
    assert (last["act"], last["was"], last["roles"]) == ("roles", ["auditor"], [ROLES])
