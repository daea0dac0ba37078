"""A BagIt bag (RFC 8493): every file is named in a manifest, every file named is there, each as its digest says."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath

from gateway.errors import VerificationError
from gateway.evidence.verify.files import opened, read_whole, walk
from gateway.evidence.verify.report import Report, shown

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
PAYLOAD, TAGS = "manifest-sha256.txt", "tagmanifest-sha256.txt"
SIGNATURE, TOKEN = f"{TAGS}.p7s", f"{TAGS}.p7s.tsr"
MANIFEST_BYTES_MAX = 1 << 26
STEP = 1 << 20
_LINE = re.compile(r"([0-9a-f]{64})  ([^\r\n]+)")


def read_manifest(bag: Path, name: str) -> dict[str, str]:
    """Digest of each file that a manifest names; VerificationError where it is none, or leads out of the bag."""
    found: dict[str, str] = {}
    raw = read_whole(bag / name, MANIFEST_BYTES_MAX, name)
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise VerificationError(f"{name} line {number}", "a digest, two spaces and a path", shown(line))
        path = PurePosixPath(match[2])
        if path.is_absolute() or ".." in path.parts or str(path) != match[2] or match[2] in found:
            raise VerificationError(f"{name} line {number}", "a path inside the bag, named once", shown(match[2]))
        if (path.parts[0] == "data") != (name == PAYLOAD):
            raise VerificationError(f"{name} line {number}", "a path that belongs there", shown(match[2]))
        found[match[2]] = match[1]
    return found


def check_files(bag: Path, report: Report, *, masters: bool) -> None:
    """Compare files with manifests; without masters, recordings are taken to be as they were just written."""
    payload, tags = read_manifest(bag, PAYLOAD), read_manifest(bag, TAGS)
    if PAYLOAD not in tags:
        report.differs(TAGS, f"a line for {PAYLOAD}", "none")
    with report.collecting():
        if read_whole(bag / "bagit.txt", 1024, "bagit.txt") != DECLARATION:
            raise VerificationError("bagit.txt", "BagIt 1.0 in UTF-8", "another declaration")
    named = {*payload, *tags, TAGS, SIGNATURE, TOKEN}
    there = set(walk(bag, str(bag)))
    for name in sorted(there - named):
        report.differs(name, "only files that a manifest names", "one more")
    for name in sorted((named - there) - {TOKEN}):
        report.differs(name, "a file", "none")
    for name, digest in {**tags, **payload}.items():
        if name in there and (masters or "/master." not in name):
            with report.collecting():
                _compare(bag, name, digest, report)


def _compare(bag: Path, name: str, digest: str, report: Report) -> None:
    if (bag / name).is_symlink():
        raise VerificationError(name, "a regular file", "a link")
    found = hashlib.sha256()
    with opened(bag / name, name) as file:
        while piece := file.read(STEP):
            found.update(piece)
    if found.hexdigest() != digest:
        raise VerificationError(name, f"sha256 {digest}", found.hexdigest())
    report.count("files")
