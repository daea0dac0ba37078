"""An export checked by code that did not write it: files, signature, time-stamp, checkpoint, witnesses, custody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography import x509

from gateway.errors import VerificationError
from gateway.evidence.verify import bag as bags
from gateway.evidence.verify.cms import fingerprint, load_certificate, open_signed
from gateway.evidence.verify.cosignatures import cosigned_at
from gateway.evidence.verify.exported_chain import Proved, check_csv, read_chain
from gateway.evidence.verify.files import exists, read_whole
from gateway.evidence.verify.notes import Checkpoint, Vkey, open_checkpoint, parse_note, parse_vkey
from gateway.evidence.verify.published import Published, parse_published
from gateway.evidence.verify.report import Report, shown
from gateway.evidence.verify.rotations import Rotation, follow, parse_chain
from gateway.evidence.verify.signature import check_signature
from gateway.evidence.verify.timestamps import check_timestamp, check_token

SMALL = 1 << 20
CMS_DATA = "1.2.840.113549.1.7.1"
CHECKPOINT, VKEY, SIGNING, STAMPING, LINES, ROTATIONS = (
    f"trust/{name}"
    for name in ("checkpoint", "log.vkey", "signing.pem", "timestamp.pem", "published.txt", "rotations.jsonl")
)


def verify_export(bag: Path, published: Published | None = None, *, masters: bool = True) -> Report:
    """Check a bag; without published keys its origin stays unknown (and the report does not say otherwise)."""
    report = Report(bag.name)
    with report.collecting():
        bags.check_files(bag, report, masters=masters)
    with report.collecting():
        _signature(bag, published, report)
    with report.collecting():
        _timestamp(bag, published, report)
    with report.collecting():
        checkpoint = _checkpoint(bag, published, report)
        report.checkpoint = {"origin": checkpoint.origin, "size": checkpoint.size}
        _witnesses(bag, checkpoint, published, report)
        _exhibits(bag, checkpoint, report)
    return report


def _small(bag: Path, name: str) -> bytes:
    return read_whole(bag / name, SMALL, name)


def _signature(bag: Path, published: Published | None, report: Report) -> None:
    signed = open_signed(_small(bag, bags.SIGNATURE), bags.SIGNATURE)
    content = read_whole(bag / bags.TAGS, bags.MANIFEST_BYTES_MAX, bags.TAGS)
    if signed.kind != CMS_DATA or signed.content is not None:
        raise VerificationError(bags.SIGNATURE, "a detached signature over data", shown(signed.kind))
    certificate = signed.verify(content)
    if certificate != load_certificate(_small(bag, SIGNING), SIGNING):
        raise VerificationError(bags.SIGNATURE, f"signed by {SIGNING}", "by another")
    if published is not None and fingerprint(certificate) not in published.signing:
        raise VerificationError(SIGNING, "a certificate that was published", fingerprint(certificate))
    _say_former(SIGNING, fingerprint(certificate), published, report)
    report.count("signatures")


def _timestamp(bag: Path, published: Published | None, report: Report) -> None:
    stamped, anchored = exists(bag / bags.TOKEN), exists(bag / STAMPING)
    if not stamped and not anchored:
        report.note("no time-stamp: no authority was configured")
        return
    try:
        anchors = x509.load_pem_x509_certificates(_small(bag, STAMPING))
    except ValueError as problem:
        raise VerificationError(STAMPING, "certificates", shown(problem)) from None
    if published is not None and fingerprint(anchors[0]) not in published.stamps:
        raise VerificationError(STAMPING, "a certificate that was published", fingerprint(anchors[0]))
    _say_former(STAMPING, fingerprint(anchors[0]), published, report)
    found = check_timestamp(_small(bag, bags.TOKEN), _small(bag, bags.SIGNATURE), anchors, bags.TOKEN)
    report.count("time_stamps")
    report.note(f"time-stamp {found.serial:x} at {found.at.isoformat()}")
    signed = open_signed(_small(bag, bags.SIGNATURE), bags.SIGNATURE)
    token = signed.stamp()
    if token is None:
        report.note("no time-stamp within the signature (CAdES-BES)")
        return
    within = check_token(token, signed.signature, anchors, bags.SIGNATURE)
    report.count("time_stamps_within")
    report.note(f"time-stamp {within.serial:x} within the signature at {within.at.isoformat()}")


def _checkpoint(bag: Path, published: Published | None, report: Report) -> Checkpoint:
    vkey = parse_vkey(_small(bag, VKEY), VKEY)
    rotations = _rotations(bag)
    found = open_checkpoint(_small(bag, CHECKPOINT), vkey, CHECKPOINT)
    handed = next((each for each in rotations if each.old == vkey), None)
    most = None if handed is None else handed.size + 1
    if published is not None:
        _check_key(vkey, rotations, published, report)
        _say_former(VKEY, str(vkey), published, report)
        most = published.sizes.get(str(vkey), most)
    if most is not None and found.size > most:
        report.differs(CHECKPOINT, f"at most {most} entries under a key that was rotated then", str(found.size))
    return found


def _rotations(bag: Path) -> list[Rotation]:
    """The changes of the log's key that the bag brings along, each signed by the key before it."""
    if not exists(bag / ROTATIONS):
        return []
    return parse_chain(_small(bag, ROTATIONS), ROTATIONS)


def _check_key(vkey: Vkey, rotations: list[Rotation], published: Published, report: Report) -> None:
    """It was published, or one that was published has handed over to it."""
    if vkey in published.logs:
        return
    start = next((each for each in published.logs if vkey.public in follow(rotations, each.public)), None)
    told = f"{vkey.name}+{vkey.key_id.hex()}"
    if start is None or start.name != vkey.name:
        report.differs(VKEY, "a log's key that was published, or one that it was rotated to", told)
    else:
        report.note(f"the published key {start.name}+{start.key_id.hex()} was rotated, by its own signature, to {told}")


def _say_former(path: str, which: str, published: Published | None, report: Report) -> None:
    """What counted then and does not any more is good for what was made then; it is said."""
    if published is not None and published.ended(which) is not None:
        report.note(f"{path}: {which[:120]} counted until {published.ended(which)}, and has been changed since")


def _witnesses(bag: Path, checkpoint: Checkpoint, published: Published | None, report: Report) -> None:
    """Every cosignature by a witness that is named must be right; who has not signed is said."""
    note = parse_note(checkpoint.raw, CHECKPOINT)
    said = parse_published(_small(bag, LINES).decode("utf-8", "replace"), LINES)
    for witness in (published or said).witnesses:
        vkey = witness.vkey
        if not any((each.name, each.key_id) == (vkey.name, vkey.key_id) for each in note.signatures):
            report.note(f"witness {vkey.name} ({witness.operator}) has not cosigned")
            continue
        cosigned_at(note, vkey, CHECKPOINT)
        report.count("cosignatures")


def _exhibits(bag: Path, checkpoint: Checkpoint, report: Report) -> None:
    payload = bags.read_manifest(bag, bags.PAYLOAD)
    folders = sorted({name.split("/")[1] for name in payload if name.count("/") == 2})
    if not folders:
        report.differs(bags.PAYLOAD, "an exhibit", "none")
    for exhibit in folders:
        with report.collecting():
            _exhibit(bag, exhibit, payload, checkpoint, report)


def _exhibit(bag: Path, exhibit: str, payload: dict[str, str], checkpoint: Checkpoint, report: Report) -> None:
    folder, name = bag / "data" / exhibit, f"data/{exhibit}"
    chain = read_chain(folder / "custody.jsonl", exhibit, checkpoint, f"{name}/custody.jsonl")
    manifest = _manifest(bag, f"{name}/manifest.json")
    seals = [each for each in chain if each.leaf.kind == "seal"]
    if not seals:
        raise VerificationError(f"{name}/custody.jsonl", "a seal", "none")
    if (chain[-1].leaf.kind, chain[-1].facts.get("export")) != ("export", manifest.get("export")):
        raise VerificationError(f"{name}/custody.jsonl", "this export as its last act", shown(chain[-1].facts))
    seal = seals[-1].facts
    _check_manifest(manifest, seal, len(chain), f"{name}/manifest.json")
    _check_parent(manifest, seals[-1], f"{name}/manifest.json")
    if payload.get(f"{name}/{manifest.get('file')}") != seal.get("sha256"):
        raise VerificationError(name, f"a recording sealed as {seal.get('sha256')}", "another")
    check_csv(folder / "custody.csv", chain, f"{name}/custody.csv")
    if seals[-1].detail is not None:
        check_signature(seals[-1].leaf, seals[-1].detail, report)
    report.count("exhibits")
    report.count("custody_entries", len(chain))


def _manifest(bag: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(_small(bag, name))
    except ValueError as problem:
        raise VerificationError(name, "JSON", shown(problem)) from None
    if not isinstance(found, dict):
        raise VerificationError(name, "an object", shown(found))
    return found


def _check_manifest(manifest: dict[str, Any], seal: dict[str, Any], entries: int, name: str) -> None:
    """What it says of the recording is what was sealed, and of its custody what is there."""
    wanted = {each: seal.get(each) for each in ("exhibit", "sha256", "size", "complete")}
    said = {each: manifest.get(each) for each in wanted}
    custody = manifest.get("custody")
    counted = custody.get("entries") if isinstance(custody, dict) else None
    if said != wanted or counted != entries:
        raise VerificationError(name, shown({**wanted, "entries": entries}), shown({**said, "entries": counted}))


def _check_parent(manifest: dict[str, Any], seal: Proved, name: str) -> None:
    """A derived exhibit names its master and the master's hash, as its seal does."""
    told = manifest.get("derived")
    said = told if isinstance(told, dict) else {}
    made = (seal.detail or {}).get("derived")
    made = made if isinstance(made, dict) else {}
    wanted = {"parent": seal.facts.get("parent"), "master_sha256": made.get("master_sha256")}
    found = {each: said.get(each) for each in wanted}
    if found != wanted:
        raise VerificationError(name, f"derived {shown(wanted)}", shown(found))
