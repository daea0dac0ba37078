"""Papers of a bag: manifest.json of each exhibit, what each proof is worth, trust/, BagIt's own files, VERIFY.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files as resources
from typing import Any

from gateway.crypto.canonical import canonical
from gateway.crypto.notes import parse_note
from gateway.domain.time import rfc3339
from gateway.evidence.export.chains import Link
from gateway.evidence.export.masters import master_name
from gateway.evidence.export.order import Needs, Published
from gateway.evidence.export.stage import Journal
from gateway.evidence.rows import Exhibit

BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
SIGNATURE, TOKEN = "tagmanifest-sha256.txt.p7s", "tagmanifest-sha256.txt.p7s.tsr"
_SHOWN = (
    "device", "recording", "name", "controller", "category", "content_type", "size", "sha256", "complete", "holder",
    "flags", "supersedes", "superseded_by", "duration_s", "playable",
)  # fmt: skip
_MADE = ("master_sha256", "recipe", "from_s", "to_s", "asked", "purpose", "tool", "command")
_TIMES = ("received_at", "sealed_at", "started_at", "ended_at")


def exhibit_manifest(exhibit: Exhibit, chain: list[Link], journal: Journal, published: Published) -> bytes:
    """`data/<id>/manifest.json`: what this exhibit is, and what each proof of it is worth."""
    shown = {name: getattr(exhibit, name) for name in _SHOWN}
    times = {name: getattr(exhibit, name) for name in _TIMES}
    order = journal.order
    return printed(
        {
            "v": 1,
            "exhibit": exhibit.id,
            "export": journal.export,
            "file": master_name(exhibit),
            **shown,
            **{name: None if moment is None else rfc3339(moment) for name, moment in times.items()},
            "purpose": order.purpose,
            "recipient": order.recipient,
            "legal_gateway": order.legal_gateway,
            "derived": _derived(exhibit, chain),
            "custody": {"entries": len(chain), "last_leaf_sha256": hashlib.sha256(chain[-1].leaf).hexdigest()},
            "proofs": [*_device_proof(chain), *bag_proofs(journal, published)],
        }
    )


def _derived(exhibit: Exhibit, chain: list[Link]) -> dict[str, Any] | None:
    """Of which master it was made (None: of none), that master's hash, by which recipe; nulls where that was erased."""
    if exhibit.parent is None:
        return None
    detail = next((link.detail or {} for link in chain if link.facts["kind"] == "seal"), {})
    said = detail.get("derived", {})
    return {"parent": exhibit.parent} | {name: said.get(name) for name in _MADE}


def bag_proofs(journal: Journal, published: Published) -> list[dict[str, Any]]:
    """What log, witnesses, signature and time-stamp prove, each labelled by whose word it is."""
    note = parse_note((journal.note or "").encode())
    signed = {name for name, _ in note.signatures}
    found: list[dict[str, Any]] = [
        {"what": "log", "by": published.vkey.split("+", 1)[0], "label": "self-asserted"},
        {"what": "signature", "by": f"sha256:{published.signing_sha256}", "label": "self-asserted"},
    ]
    for each in published.witnesses:
        name = each.vkey.split("+", 1)[0]
        label = published.witness_label(each.operator) if name in signed else "none"
        found.append({"what": "witness", "by": name, "operator": each.operator, "label": label})
    stamp = None if published.stamp_sha256 is None else f"sha256:{published.stamp_sha256}"
    found.append({"what": "time-stamp", "by": stamp, "label": published.stamp_label})
    return found


def _device_proof(chain: list[Link]) -> list[dict[str, Any]]:
    """The device's own signature: independent of this store only where the key was made in the device."""
    detail = next((link.detail or {} for link in reversed(chain) if link.facts["kind"] == "seal"), {})
    verdict = detail.get("device_signature", "absent")
    label = "none"
    if verdict == "valid":
        label = "independent" if detail.get("key_origin") == "device" else "self-asserted"
    origin = detail.get("key_origin")
    return [{"what": "device signature", "verdict": verdict, "key_origin": origin, "label": label}]


def trust_files(journal: Journal, published: Published) -> dict[str, bytes]:
    """`trust/`: keys and certificates as this bag says they are; only what was published elsewhere makes them so."""
    found = {
        "trust/log.vkey": published.vkey_of(journal.note or "").encode() + b"\n",
        "trust/signing.pem": published.signing_pem,
        "trust/checkpoint": (journal.note or "").encode(),
        "trust/published.txt": "".join(f"{line}\n" for line in published.lines()).encode(),
    }
    if published.former.rotations:
        lines = (canonical({"v": 1, "note": note}) + b"\n" for note in published.former.rotations)
        found["trust/rotations.jsonl"] = b"".join(lines)
    if published.stamp_pem is not None:
        found["trust/timestamp.pem"] = published.stamp_pem
    return found


def bag_info(needs: Needs, journal: Journal, octets: int, files: int) -> bytes:
    """`bag-info.txt` (RFC 8493 clause 2.2.2); each value on one line."""
    order = journal.order
    words = {
        "Source-Organization": needs.published.log_operator or needs.published.vkey.split("+", 1)[0],
        "External-Identifier": journal.export,
        "Bagging-Date": journal.begun_at[:10],
        "Payload-Oxum": f"{octets}.{files}",
        "Bag-Software-Agent": f"lapel {needs.build}",
        "Purpose": order.purpose,
        "Recipient": order.recipient,
        "Legal-Gateway": order.legal_gateway,
    }
    return "".join(f"{name}: {' '.join(text.split())}\n" for name, text in words.items()).encode()


def digest_lines(digests: Mapping[str, str]) -> bytes:
    """A manifest as `sha256sum -c` reads it."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


def verify_text(journal: Journal, published: Published) -> bytes:
    """VERIFY.md: what to publish, what to compare, and the commands."""
    text = resources("gateway.evidence.export").joinpath("steps.md").read_text("utf-8")
    proofs = [f"| {each['what']} | {_by(each)} | {each['label']} |" for each in bag_proofs(journal, published)]
    exhibits = [f"- {each}" for each in journal.order.exhibits]
    stamped = "yes" if published.stamp_pem is not None else "no"
    for mark, words in {
        "@EXPORT@": journal.export,
        "@PROOFS@": "\n".join(proofs),
        "@EXHIBITS@": "\n".join(exhibits),
        "@STAMPED@": stamped,
    }.items():
        text = text.replace(mark, words)
    return text.encode()


def printed(body: object) -> bytes:
    """JSON for people: indented, one newline at the end."""
    return json.dumps(body, ensure_ascii=False, indent=1).encode() + b"\n"


def _by(proof: dict[str, Any]) -> str:
    by = proof.get("by") or "nobody: no time-stamping authority is configured"
    return f"{by} ({proof['operator']})" if "operator" in proof else str(by)
