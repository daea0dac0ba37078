"""Bags that somebody else made: paths that lead out, links, files too many; and published lines as people keep them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.cosignatures import WitnessKey
from gateway.crypto.notes import VerifierKey
from gateway.errors import VerificationError
from gateway.evidence.verify.bag import DECLARATION, check_files, read_manifest
from gateway.evidence.verify.exported import verify_export
from gateway.evidence.verify.published import parse_published
from gateway.evidence.verify.report import Report

ZERO = "0" * 64


def _bag(folder: Path) -> Path:
    """The smallest bag whose files agree."""
    (folder / "data").mkdir(parents=True)
    (folder / "data/a").write_bytes(b"a")
    (folder / "bagit.txt").write_bytes(DECLARATION)
    (folder / "manifest-sha256.txt").write_text(f"{hashlib.sha256(b'a').hexdigest()}  data/a\n")
    names = ("bagit.txt", "manifest-sha256.txt")
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "tagmanifest-sha256.txt").write_text("".join(lines))
    (folder / "tagmanifest-sha256.txt.p7s").write_bytes(b"")
    return folder


def _found(folder: Path, *, masters: bool = True) -> list[str]:
    report = Report("bag")
    check_files(folder, report, masters=masters)
    return [finding.path for finding in report.findings]


def test_files_that_agree(tmp_path: Path) -> None:
    """Nothing differs; each change is named by its file."""
    bag = _bag(tmp_path / "bag")
    assert _found(bag) == []
    (bag / "data/b").write_bytes(b"b")
    assert _found(bag) == ["data/b"]
    (bag / "data/b").unlink()
    (bag / "data/a").unlink()
    assert _found(bag) == ["data/a"]
    (tmp_path / "a").write_bytes(b"a")
    (bag / "data/a").symlink_to(tmp_path / "a")
    assert _found(bag) == ["data/a"]


def test_a_pipe_does_not_hang_it(tmp_path: Path) -> None:
    """What is no regular file is a finding."""
    bag = _bag(tmp_path / "bag")
    (bag / "data/a").unlink()
    os.mkfifo(bag / "data/a")
    assert _found(bag) == ["data/a"]


@pytest.mark.parametrize(
    "line",
    [
        f"{ZERO}  /etc/passwd",
        f"{ZERO}  data/../../x",
        f"{ZERO}  data/./x",
        f"{ZERO}  bagit.txt",
        f"{ZERO} data/x",
        f"{ZERO[:-1]}g  data/x",
        f"{ZERO}  data/x\n{ZERO}  data/x",
    ],
)
def test_manifests_that_are_none(tmp_path: Path, line: str) -> None:
    """The line is named; nothing outside the bag is opened."""
    (tmp_path / "manifest-sha256.txt").write_text(f"{line}\n")
    with pytest.raises(VerificationError, match=r"manifest-sha256\.txt line"):
        read_manifest(tmp_path, "manifest-sha256.txt")


def test_an_empty_folder_is_no_export(tmp_path: Path) -> None:
    """Findings in words, no exception."""
    assert not verify_export(tmp_path).ok


LOG = str(VerifierKey("lapel.test/log", bytes(32)))
WITNESS = str(WitnessKey("w.test", bytes(32)))


def test_published_lines() -> None:
    """Comments and empty lines are passed over; certificates of several years stand side by side."""
    text = f"# 2026\nlog {LOG}\n\nsigning-certificate sha256:{ZERO}\nsigning-certificate sha256:{'1' * 64}\n"
    found = parse_published(
        text + f"timestamp-certificate sha256:{ZERO} independent\nwitness {WITNESS} operator=CAMBS\n", "x"
    )
    assert [each.name for each in found.logs] == ["lapel.test/log"]
    assert found.signing == {ZERO, "1" * 64}
    assert found.stamps == {ZERO}
    assert [(each.vkey.name, each.operator) for each in found.witnesses] == [("w.test", "CAMBS")]


@pytest.mark.parametrize(
    "line", ["log x", f"log {WITNESS}", "signing-certificate sha256:ABC", f"witness {LOG}", "else", f"log {LOG} more"]
)
def test_other_lines_are_named(line: str) -> None:
    """A typing error must never pass for a key that is trusted."""
    with pytest.raises(VerificationError, match="x line 2"):
        parse_published(f"# first\n{line}\n", "x")


@given(st.text())
def test_any_text(text: str) -> None:
    """Lines, or VerificationError."""
    try:
        parse_published(text, "x")
    except VerificationError as wrong:
        if not wrong.path.startswith("x line "):
            raise
