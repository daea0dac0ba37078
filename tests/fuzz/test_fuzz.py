"""The fuzzing itself: it runs, it finds what is there, and says what it was."""

import pytest

from tests.fuzz import __main__ as fuzz
from tests.fuzz.targets import TARGETS, seeds


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_of_each_target_pass(name):
    """What was recorded is read."""
    corpus = seeds()[name]
    assert corpus
    for octets in corpus:
        TARGETS[name](octets)


@pytest.mark.parametrize("name", TARGETS)
def test_a_moment_of_each_target_is_clean(name):
    """A quarter of a second; `make fuzz` has longer."""
    runs, failed = fuzz.mutate(name, 0.25, seeds()[name][:20])
    assert failed is None
    assert runs > 1


def test_a_defect_is_found(monkeypatch, capsys):
    """A parser that fails on one octet: found, and said with its octets."""

    def broken(octets: bytes) -> None:
        if b"\xff" in octets:
            raise IndexError("planted")

    monkeypatch.setitem(TARGETS, "lip", broken)
    runs, failed = fuzz.mutate("lip", 5.0, [b"abc"])
    assert failed is not None
    assert b"\xff" in failed
    assert failed.hex() in capsys.readouterr().out
    assert runs < 100_000


def test_it_says_whether_it_was_guided(capsys):
    """Without atheris, in the first line; nothing found is exit code 0."""
    assert fuzz.main(["--seconds", "0.2", "--without-atheris", "lip"]) == 0
    assert capsys.readouterr().out.startswith("no atheris")
