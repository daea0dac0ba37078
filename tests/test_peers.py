"""A test without what it needs fails where CI is set, and is left out by name elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import peers

LACKS = [lambda: peers.program("no-such-program"), lambda: peers.package("no_such_package"), lambda: peers.shared("no")]
SKIPS = re.compile(r"pytest\.(skip|mark\.skip|importorskip)|skipif")


@pytest.mark.parametrize("lack", LACKS)
def test_missing_under_ci_is_a_failure(monkeypatch, lack) -> None:
    """No green run without it."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no"):
        lack()


@pytest.mark.parametrize("lack", LACKS)
def test_missing_elsewhere_is_said(monkeypatch, lack) -> None:
    """With the reason."""
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"LEFT OUT: .*no"):
        lack()


def test_what_is_here_is_given() -> None:
    """A program's path, a package."""
    assert Path(peers.program("sh")).exists()
    assert peers.package("json").loads("1") == 1


def test_nobody_else_skips() -> None:
    """But for the right to mount, a kernel's bars, and a witness that this Python can't install."""
    tests = Path(__file__).parent
    skipping = {str(path.relative_to(tests)) for path in tests.rglob("*.py") if SKIPS.search(path.read_text())}
    rights = {"faults/crash_disk.py", "scenarios/test_emergency.py", "media/test_cage.py"}
    assert skipping == {"peers.py", "test_peers.py", "interop_aics.py", *rights}
