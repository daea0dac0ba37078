"""`lapel evidence clip | derive`: what is wrong with an option is a usage error; the configured key signs."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.evidence.integrity import _file
from gateway.evidence_half import records_at
from tests.cli.conftest import Lapel

FIELDS = ("--purpose", "court")


def newest(lapel: Lapel, store: Path) -> str:
    """Id of the newest exhibit."""
    exhibit: str = lapel("evidence", "list", "--data", store, "--json").json["exhibits"][0]["id"]
    return exhibit


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("clip", "--from", "3", "--to", "1"), "--to: 1 is not behind 3"),
        (("clip", "--from", "-1", "--to", "1"), "--from: say a second"),
        (("derive", "--recipe", "still"), "--at: say a second"),
        (("derive", "--recipe", "h264_copy", "--at", "2"), "--at: h264_copy is made of the whole"),
    ],
)
def test_options_that_cannot_be(lapel: Lapel, store: Path, words: tuple[str, ...], said: str) -> None:
    """Exit 2 under the option's own name, and nothing is put down."""
    verb, *options = words
    done = lapel("evidence", verb, newest(lapel, store), *options, *FIELDS, "--data", store)
    assert (done.code, said in done.err) == (2, True), done.err
    assert not (store / "evidence" / "derivatives").exists() or not list(
        (store / "evidence/derivatives").glob("*.json")
    )


def test_a_master_that_is_not_there(lapel: Lapel, store: Path) -> None:
    """No usage error: it ran, and there is no such exhibit."""
    done = lapel("evidence", "clip", "X-NOPE", "--from", "1", "--to", "2", *FIELDS, "--data", store)
    assert (done.code, "X-NOPE: there is no such exhibit" in done.err) == (1, True)


@pytest.fixture
def elsewhere(store: Path) -> Path:
    """A configuration whose log is signed by a key of another name."""
    (store / "keys" / "log.key").rename(store / "keys" / "site.key")
    file = store.parent / "signed.toml"
    file.write_text(
        f'[gateway]\ndata = "{store}"\n[log]\norigin = "lapel.test/log"\nsigner = "file:site.key"\n',
    )
    return file


def test_the_configured_key_signs(lapel: Lapel, store: Path, elsewhere: Path) -> None:
    """Clips and tracks open the log by the key that the configuration names, as everything else does."""
    done = lapel("evidence", "clip", "X-NOPE", "--from", "1", "--to", "2", *FIELDS, "-c", elsewhere)
    assert (done.code, "there is no such exhibit" in done.err) == (1, True), done.err
    words = ("--purpose", "p", "--recipient", "r", "--legal-gateway", "g", "-o", store.parent / "track")
    span = ("--from", "2026-11-21T00:00:00Z", "--to", "2026-11-22T00:00:00Z")
    done = lapel("history", "prove", "--device", "bcn-1", *span, *words, "-c", elsewhere)
    assert "site.key" not in done.err
    assert done.code != 2, done.err


def test_what_an_exhibit_is_in_words(lapel: Lapel, store: Path) -> None:
    """No language's own way of writing lists and truth values."""
    out = lapel("evidence", "show", newest(lapel, store), "--data", store).out
    assert "complete  yes" in out
    assert "holds  -" in out
    assert "True" not in out
    assert "()" not in out


def test_copies_are_held_against_what_a_configuration_wants(lapel: Lapel, store: Path) -> None:
    """Without one there is only what is verified."""
    file = store.parent / "plain.toml"
    file.write_text(f'[gateway]\ndata = "{store}"\n[log]\norigin = "lapel.test/log"\n')
    assert "1/1" not in lapel("evidence", "list", "--data", store).out
    assert "1/1" in lapel("evidence", "list", "-c", file).out


def test_the_steps_that_a_verdict_names(lapel: Lapel, store: Path) -> None:
    """Command and options that `integrity` names are ones that there are."""
    exhibit = newest(lapel, store)
    with records_at(store / "evidence", store / "keys") as opened:
        row = opened.catalogue.exhibit(exhibit)
    assert row is not None
    step = next(each for each in _file(row, None).how if "keys identity" in each)
    words = step.split(" > ")[0].removeprefix("lapel ").split()
    assert lapel(*words, "--data", store).out.startswith("AGE-SECRET-KEY-1")


def test_a_folder_that_takes_nothing(lapel: Lapel, store: Path) -> None:
    """The file and the reason, without the number that the system gives it."""
    done = lapel("backup", "-o", "/proc/lapel-backup", "--data", store)
    assert (done.code, done.err.strip()) == (1, "/proc/lapel-backup: No such file or directory")
