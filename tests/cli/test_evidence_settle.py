"""`lapel evidence settle`: what waits for a person's word, and the word on record."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Lapel


def waiting(lapel: Lapel, store: Path) -> list[dict]:
    """What is to be settled."""
    return lapel("evidence", "settle", "--data", store, "--json").json["exhibits"]


def test_a_recording_without_a_holder_is_settled(lapel: Lapel, store: Path) -> None:
    """Listed with its flags; settled in a person's name; gone from the list; the flag stays, as settled."""
    rows = waiting(lapel, store)
    assert rows
    row = next(each for each in rows if "holder_unknown" in each["flags"])
    assert row["id"] in lapel("evidence", "settle", "--data", store).out
    words = ("--by", "P-0014", "--reason", "seen on the tape", "--holder", "P-0015", "--data", store)
    done = lapel("evidence", "settle", row["id"], *words, "--json").json["exhibit"]
    assert (done["holder"], "settled:holder_unknown" in done["flags"]) == ("P-0015", True)
    assert row["id"] not in [each["id"] for each in waiting(lapel, store)]
    chain = lapel("evidence", "show", row["id"], "--data", store, "--json").json["custody"]
    assert "attribute" in [each["kind"] for each in chain]
    assert lapel("evidence", "verify", "--all", "--data", store).code == 0
    again = lapel("evidence", "settle", row["id"], *words)
    assert (again.code, "nothing to settle" in again.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("X-NO", "--by", "P-0014", "--reason", "x"), 1),
        (("X-NO", "--by", "P-0014"), 2),
        (("X-NO", "--by", "P-NO", "--reason", "x"), 2),
        (("--by", "P-0014", "--reason", "x"), 2),
    ],
)
def test_words_that_settle_nothing(lapel: Lapel, store: Path, words: tuple[str, ...], code: int) -> None:
    """Exit codes as everywhere, nothing on record."""
    before = (store / "evidence/log/checkpoint").read_text()
    assert lapel("evidence", "settle", *words, "--data", store).code == code
    assert (store / "evidence/log/checkpoint").read_text() == before
