"""Reads `details/`: every record that a leaf commits to opens, is canonical, and has its HMAC."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import rfc8785
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import VerificationError
from gateway.evidence.verify.files import from_base64, opened, walk
from gateway.evidence.verify.leaves import canonical_object
from gateway.evidence.verify.report import Finding, Report, UnreadError, shown
from gateway.evidence.verify.unwrap import Keyring

MAGIC = b"LAPELDTL1\n"
HEAD = 49
RECORDS_MAX = 4096
CIPHERTEXT_MAX = 1 << 24
FILE = re.compile(r"[0-9]{6}\.dtl")


class Record(msgspec.Struct, frozen=True):
    """One record as it lies in a file."""

    path: str
    erased: bool
    hmac: bytes
    nonce: bytes
    ciphertext: bytes


def open_detail(key: bytes, record: Record) -> dict[str, Any]:
    """Decrypt a record, check its form and its HMAC; gives the detail."""
    try:
        plain = AESGCM(key).decrypt(record.nonce, record.ciphertext, record.hmac)
    except (InvalidTag, ValueError):
        raise VerificationError(record.path, "a detail that opens", "one that does not") from None
    envelope = canonical_object(plain, record.path)
    detail, salt = envelope.get("detail"), envelope.get("salt")
    if set(envelope) != {"v", "salt", "detail"} or envelope["v"] != 1:
        raise VerificationError(record.path, "v = 1, salt and detail", shown(sorted(envelope)))
    if not isinstance(detail, dict) or not isinstance(salt, str):
        raise VerificationError(record.path, "a detail object and a salt", "other types")
    key = from_base64(salt, 32, record.path, "a salt")
    found = hmac.digest(key, rfc8785.dumps(detail), "sha256")
    if found != record.hmac:
        raise VerificationError(record.path, f"HMAC {record.hmac.hex()}", found.hex())
    return detail


def _record(file: BinaryIO, path: str) -> Record | None:
    head = file.read(HEAD)
    if not head:
        return None
    length = int.from_bytes(head[1:5], "big")
    if len(head) < HEAD or head[:1] not in {b"D", b"E"} or length > CIPHERTEXT_MAX:
        raise VerificationError(path, "a record (D or E, length, HMAC, nonce)", shown(head[:8]))
    ciphertext = file.read(length)
    if len(ciphertext) < length:
        raise VerificationError(path, f"a record of {length} bytes", f"the end after {len(ciphertext)}")
    return Record(path, head[:1] == b"E", head[5:37], head[37:], ciphertext)


def records(path: Path, name: str) -> Iterator[Record]:
    """Records of one file in order; VerificationError where the rest can't be read as records."""
    with opened(path, name) as file:
        magic = file.read(len(MAGIC))
        if magic != MAGIC:
            raise VerificationError(name, "a header LAPELDTL1", shown(magic))
        for number in range(RECORDS_MAX + 1):
            record = _record(file, f"{name} record {number}")
            if record is None:
                return
            if number == RECORDS_MAX:
                raise VerificationError(name, f"at most {RECORDS_MAX} records", "more")
            yield record


class Details:
    """All details files against the HMACs that the log commits to.

    known maps the HMAC of every leaf to whether it is to be opened. What ends a file early, and
    records of no leaf behind the last of one, are traces of a crash, noted only; but where a leaf
    lacks its detail, they are findings. owed False: what is lacking is somebody else's to name.
    """

    def __init__(
        self, known: Mapping[str, bool], keyring: Keyring | None, report: Report, *, owed: bool = True
    ) -> None:
        self._owed = owed
        self._known = known
        self._keyring = keyring
        self._report = report
        self._doubtful: list[Finding] = []
        self._cut: list[Finding] = []
        self._key: bytes | None = None
        self.found: dict[str, dict[str, Any]] = {}
        self.erased: set[str] = set()
        self.half_erased: dict[str, str] = {}
        self._closed: set[str] = set()

    def read(self, top: Path) -> None:
        """Read the whole directory."""
        with self._report.collecting():
            names = list(walk(top, "details"))
            good = [name for name in names if FILE.fullmatch(name)]
            for name in sorted(set(names) - set(good)):
                self._report.note(f"details/{shown(name)}: not a details file")
            wanted = [f"{number:06d}.dtl" for number in range(int(good[-1][:6]) + 1)] if good else []
            for name in wanted if self._owed else good:
                self._read_file(top / name, f"details/{name}")
        missing = self._owed and any(self._known[one] and not self.has(one) for one in self._known)
        self._doubtful += self._cut
        self._settle(as_findings=missing)

    def has(self, commitment: str) -> bool:
        """Whether a record with this HMAC was seen (a fault of its own was then said already)."""
        return commitment in self.found or commitment in self.erased or commitment in self._closed

    def _read_file(self, path: Path, name: str) -> None:
        self._key = None
        try:
            for record in records(path, name):
                self._take(record, name.removesuffix(".dtl"))
        except UnreadError as error:
            self._report.add(error)
        except VerificationError as error:
            self._cut.append(Finding(error.path, error.expected, error.found))
        # The next file's first record says nothing of how this one ended.
        self._cut += self._doubtful
        self._doubtful.clear()

    def _take(self, record: Record, key_name: str) -> None:
        commitment = record.hmac.hex()
        bound = commitment in self._known
        self._report.count("details" if bound else "orphan_details")
        if bound:
            self._settle(as_findings=True)
            if self.has(commitment):
                self._report.differs(record.path, "each detail once", f"HMAC {commitment} again")
                return
        if bound and not self._known[commitment]:
            self._closed.add(commitment)
            return
        try:
            self._open(record, key_name, commitment)
        except VerificationError as error:
            if bound:
                self._closed.add(commitment)
                self._report.add(error)
            else:
                self._doubtful.append(Finding(error.path, error.expected, error.found))

    def _open(self, record: Record, key_name: str, commitment: str) -> None:
        if record.erased:
            if record.ciphertext.strip(b"\x00"):
                self.half_erased[commitment] = record.path
                if commitment not in self._known:
                    raise VerificationError(record.path, "zeros in an erased record", "other bytes")
            self.erased.add(commitment)
        elif self._keyring is None:
            self._closed.add(commitment)
        else:
            # Asked for at the first record: a file may be begun before its key is kept.
            self._key = self._key or self._keyring.open(key_name)
            self.found[commitment] = open_detail(self._key, record)

    def _settle(self, *, as_findings: bool) -> None:
        for one in self._doubtful:
            if as_findings:
                self._report.differs(one.path, one.expected, one.found)
            else:
                self._report.note(f"{one.path}: {one.found} (no leaf commits to it: the trace of a crash)")
        self._doubtful.clear()
