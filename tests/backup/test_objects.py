"""Contents by their hash, of files that somebody changes while they are read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backup import objects as room
from gateway.backup.manifest import File, Gap, Head, is_below, parse_manifest, print_manifest
from gateway.backup.objects import Objects, digest
from gateway.errors import StoreBusyError, VerificationError
from gateway.evidence.log.disk import Disk

NAMES = st.lists(st.text("ab./é", min_size=1, max_size=8).filter(is_below), unique=True, max_size=5)


def test_each_content_once(tmp_path: Path) -> None:
    """Bytes, a file, the same again: one object; what nobody wants is swept."""
    kept = Objects(tmp_path / "b", Disk())
    (tmp_path / "a").write_bytes(b"one")
    first, again = kept.keep(b"one"), kept.keep_file(tmp_path / "a")
    other = kept.keep(b"two")
    assert first == again
    assert kept.path(first.sha256).read_bytes() == b"one"
    assert {path.name for path in kept.names()} == {first.sha256, other.sha256}
    assert kept.sweep({first.sha256}) == 1
    assert [path.name for path in kept.names()] == [first.sha256]
    assert kept.keep_file(tmp_path / "a", 2).sha256 == hashlib.sha256(b"on").hexdigest()


def test_a_file_replaced_by_a_shorter_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken as it is then; one that never rests is not taken at all."""
    kept, path = Objects(tmp_path / "b", Disk()), tmp_path / "a"
    path.write_bytes(b"x" * 100)
    real = Objects._copy

    def once(self, source, part, octets):  # type: ignore[no-untyped-def]
        if octets == 100:
            path.write_bytes(b"short")
        return real(self, source, part, octets)

    monkeypatch.setattr(Objects, "_copy", once)
    assert kept.keep_file(path).size == 5
    count = iter(range(1000))

    def always(self, source, part, octets):  # type: ignore[no-untyped-def]
        found = real(self, source, part, octets)
        path.write_bytes(f"{next(count):05}".encode())
        return found

    monkeypatch.setattr(Objects, "_copy", always)
    with pytest.raises(StoreBusyError, match="changes each time"):
        kept.keep_file(path)


def test_a_file_half_erased_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes behind the place that was read already is seen by the second reading."""
    kept, path = Objects(tmp_path / "b", Disk()), tmp_path / "a"
    path.write_bytes(b"D" + b"secret" * 10)
    monkeypatch.setattr(room, "BLOCK", 8)
    real, calls = Disk.write_at, []

    def erasing(self, target, offset, content):  # type: ignore[no-untyped-def]
        calls.append(offset)
        if len(calls) == 3:
            path.write_bytes(b"E" + bytes(60))
        real(self, target, offset, content)

    monkeypatch.setattr(Disk, "write_at", erasing)
    found = kept.keep_file(path, 61)
    assert kept.path(found.sha256).read_bytes() == b"E" + bytes(60)
    assert digest(path) == found


@given(NAMES)
def test_a_manifest_reads_as_it_was_printed(names: list[str]) -> None:
    """Head and files, by path."""
    head = Head("B-1", "a.test/log", 3, "ab", "2026-11-22T09:00:00.000Z", "0.1.0", {"files": 1}, (Gap("x", "gone"),))
    files = {name: File(name, "0" * 64, 5, None) for name in names}
    found = parse_manifest(print_manifest(head, files.values()), "m")
    assert (found.head, found.files) == (head, files)


@pytest.mark.parametrize(
    "line", ['{"path":"../x","sha256":"%s","size":1}', '{"path":"/x","sha256":"%s","size":1}', "[]", '{"path":"x"}', ""]
)
def test_a_line_that_leads_elsewhere(line: str) -> None:
    """A path above the store, or none, is refused by the number of its line."""
    head = print_manifest(Head("B-1", "o", 0, "", "", "", {}), [])
    with pytest.raises(VerificationError, match="line 2"):
        parse_manifest(head + line.replace("%s", "0" * 64).encode() + b"\n", "m")
