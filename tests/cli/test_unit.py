"""`lapel unit`, `lapel user agency`: who is covert and whose eyes an account has, on record."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Lapel
from tests.cli.test_accounts import logged

PEOPLE = """
[[unit]]
id = "PCC.CSO-1"
callsign = "CSO1"
agency = "PCC"
[[unit]]
id = "PCC.CSO-2"
callsign = "CSO2"
agency = "PCC"
masked = true
"""


def test_masking_and_unmasking(lapel: Lapel, store: Path, tmp_path: Path) -> None:
    """Both are log entries with person and reason; the list says who is masked, by file or by act."""
    (tmp_path / "people.toml").write_text(PEOPLE)
    assert lapel("roster", "import", tmp_path / "people.toml", "--data", store).code == 0
    said = ("--by", "Inspector 3", "--reason", "surveillance", "--data", store)
    masked = lapel("unit", "mask", "PCC.CSO-1", *said)
    assert (masked.code, masked.out) == (0, "PCC.CSO-1: masked\n")
    assert lapel("unit", "unmask", "PCC.CSO-2", *said).code == 0
    assert lapel("unit", "masked", "--data", store, "--json").json["units"] == ["PCC.CSO-1"]
    assert "CSO1" in lapel("unit", "masked", "--data", store).out
    acts = [each for each in logged(store) if each["act"] == "mask"]
    assert [(each["unit"], each["masked"], each["by"], each["reason"]) for each in acts] == [
        ("PCC.CSO-1", True, "Inspector 3", "surveillance"),
        ("PCC.CSO-2", False, "Inspector 3", "surveillance"),
    ]


def test_what_can_not_be_masked_is_said(lapel: Lapel, store: Path) -> None:
    """A unit that there is not; nobody's word; no reason."""
    assert lapel("unit", "mask", "PCC.NOBODY", "--by", "I", "--reason", "r", "--data", store).code == 1
    assert lapel("unit", "mask", "PCC.NOBODY", "--by", " ", "--reason", "r", "--data", store).code == 2
    assert lapel("unit", "mask", "PCC.NOBODY", "--by", "I", "--data", store).code == 2


def test_the_agency_of_an_account(lapel: Lapel, store: Path) -> None:
    """Given with it, changed, taken away."""
    assert lapel("user", "add", "desk", "--role", "consumer", "--agency", "PCC", "--data", store).code == 0

    def agency() -> str | None:
        users = lapel("user", "list", "--data", store, "--json").json["users"]
        return next(each["agency"] for each in users if each["id"] == "desk")

    assert agency() == "PCC"
    assert lapel("user", "agency", "desk", "CAMBS", "--data", store).out == "desk: CAMBS (was PCC)\n"
    assert agency() == "CAMBS"
    assert lapel("user", "agency", "desk", "--data", store).code == 0
    assert agency() is None
    assert lapel("user", "agency", "nobody", "PCC", "--data", store).code == 1
    acts = [(each["was"], each["agency"]) for each in logged(store) if each["act"] == "agency"]
    assert acts == [("PCC", "CAMBS"), ("CAMBS", None)]
