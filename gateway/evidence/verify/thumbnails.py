"""Thumbnails against the entry that names them; one that is not there is no fault: it can be made again."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from gateway.errors import VerificationError
from gateway.evidence.verify.files import exists, read_whole
from gateway.evidence.verify.report import Report, shown

CAP = 2 << 20
_EXHIBIT = re.compile(r"X-[0-9A-Z]{2,32}")


def check_thumbnail(evidence: Path, exhibit: str, sha256: object, report: Report) -> None:
    """Compare one age file's SHA-256 with what the log says of it."""
    with report.collecting():
        if not _EXHIBIT.fullmatch(exhibit):
            raise VerificationError(f"exhibit {shown(exhibit)}", "an exhibit's id with a thumbnail", "another name")
        name = f"thumbnails/{exhibit[-2:]}/{exhibit}.age"
        if not exists(evidence / name):
            report.count("thumbnails_missing")
            return
        found = hashlib.sha256(read_whole(evidence / name, CAP, name)).hexdigest()
        report.count("thumbnails")
        if found != sha256:
            raise VerificationError(name, f"SHA-256 {shown(str(sha256))}, as its derive entry says", found)
