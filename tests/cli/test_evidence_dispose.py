"""`lapel evidence dispose` and `lapel evidence certificate`: two people, a grace, and what is left to show."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Lapel


@pytest.fixture
def config(tmp_path: Path, store: Path) -> Path:
    """A configuration of that store, without grace."""
    path = tmp_path / "lapel.toml"
    path.write_text(f'[gateway]\ndata = "{store}"\n[log]\norigin = "lapel.test/log"\n[retention]\ngrace_days = 0\n')
    return path


def exhibits(lapel: Lapel, store: Path) -> list[str]:
    """Sealed exhibits."""
    rows = lapel("evidence", "list", "--data", store, "--json").json["exhibits"]
    return [row["id"] for row in rows if row["sealed_at"]]


def as_user(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Somebody else sits at the terminal."""
    monkeypatch.setenv("LOGNAME", name)


def test_two_people_dispose_of_an_exhibit(lapel: Lapel, store: Path, config: Path, monkeypatch) -> None:
    """Asked for, refused to its requester, approved by another, run, certified; the store verifies."""
    name = exhibits(lapel, store)[0]
    as_user(monkeypatch, "ann")
    words = ("--ground", "order", "--reason", "court order 7", "--alone", "the rest is another case")
    one = lapel("evidence", "dispose", "request", name, *words, "-c", config, "--json").json["disposal"]
    assert one["state"] == "waiting"
    refused = lapel("evidence", "dispose", "approve", one["id"], "-c", config)
    assert (refused.code, "second person" in refused.err) == (1, True)
    as_user(monkeypatch, "bob")
    assert lapel("evidence", "dispose", "approve", one["id"], "-c", config, "--json").json["disposal"]["approved"]
    assert lapel("evidence", "certificate", name, "--data", store).code == 1
    done = lapel("evidence", "dispose", "run", "-c", config, "--json")
    assert (done.code, done.json["left"], done.json["figures"]["disposed"]) == (0, [], 1)
    listed = lapel("evidence", "dispose", "list", "--data", store)
    assert f"{name} disposed" in listed.out
    said = lapel("evidence", "certificate", one["id"], "--data", store, "--json").json["certificates"][0]
    assert (said["requested"]["by"], said["approved"]["by"]) == ("cli:ann", "cli:bob")
    assert said["log"]["origin"] == "lapel.test/log"
    text = lapel("evidence", "certificate", name, "--data", store).out
    assert said["sha256"] in text
    assert "1 of 1 (store)" in text
    assert lapel("evidence", "verify", "--all", "--data", store).code == 0
    assert lapel("evidence", "dispose", "cancel", one["id"], "--reason", "no", "--data", store).code == 1


def test_taken_back(lapel: Lapel, store: Path, config: Path, monkeypatch) -> None:
    """Cancelled: the next run destroys nothing."""
    name = exhibits(lapel, store)[0]
    words = ("--ground", "order", "--reason", "x", "--alone", "x", "-c", config)
    one = lapel("evidence", "dispose", "request", name, *words, "--json").json["disposal"]["id"]
    as_user(monkeypatch, "bob")
    lapel("evidence", "dispose", "approve", one, "-c", config)
    assert "cancelled" in lapel("evidence", "dispose", "cancel", one, "--reason", "appeal", "--data", store).out
    assert lapel("evidence", "dispose", "run", "-c", config).out.startswith("0 exhibits")
    assert lapel("evidence", "verify", name, "--data", store).code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("request", "X-NO", "--ground", "order", "--reason", "x"), 1),
        (("request", "X-NO", "--reason", "x"), 2),
        (("request", "--reason", "x"), 2),
        (("request", "--due", "--ground", "order", "--reason", "x"), 2),
        (("request", "X-NO", "X-NO", "--ground", "order", "--reason", "x"), 2),
        (("request", "--due", "--reason", "x"), 1),
        (("approve", "D-NO"), 1),
        (("cancel", "D-NO", "--reason", "x"), 1),
        (("list", "--due"), 0),
    ],
)
def test_words_that_dispose_of_nothing(lapel: Lapel, store: Path, config: Path, words: tuple, code: int) -> None:
    """Exit codes as everywhere, nothing on record."""
    before = (store / "evidence/log/checkpoint").read_text()
    assert lapel("evidence", "dispose", *words, "-c", config).code == code
    assert (store / "evidence/log/checkpoint").read_text() == before


def test_the_grace_is_configured(lapel: Lapel, store: Path) -> None:
    """Without the configuration nobody can shorten it."""
    assert lapel("evidence", "dispose", "approve", "D-NO", "--data", store).code == 2
