"""What a seal says of the device's signature, checked by the verifier's own code; changed in any part, it is found."""

from __future__ import annotations

import base64

import msgspec
import pytest

from gateway.evidence.verify.leaves import Leaf
from gateway.evidence.verify.report import Report
from gateway.evidence.verify.signature import check_signature
from tests.crypto.test_jws import ED, OTHER, P256, der, token
from tests.evidence.test_signature import CLIP, KEY, claims, sha

FACTS = {"sha256": sha(CLIP), "size": len(CLIP)}
LEAF = Leaf(7, "seal", "2026-11-21T21:08:02Z", "X-1", 2, None, "00" * 32, "00" * 32, FACTS)


def b64(content: bytes) -> str:
    """As the detail has bytes."""
    return base64.b64encode(content).decode()


def detail(**more) -> dict:
    """A seal's detail with a valid signature."""
    manifest, key = b64(token(claims=claims())), b64(der(P256))
    said = {"device": KEY.device, "recording": KEY.recording, "device_signature": "valid"}
    return {**said, "device_manifest": manifest, "device_key": key, **more}


def judged(content, leaf=LEAF) -> Report:
    """The report on one detail."""
    report = Report("test")
    check_signature(leaf, content, report)
    return report


def test_a_valid_signature_is_valid_here_too():
    """Both algorithms; counted."""
    report = judged(detail())
    assert report.ok
    assert report.counts["device_signatures_valid"] == 1
    edwards = token({"alg": "EdDSA"}, claims(), ED.sign)
    assert judged(detail(device_manifest=b64(edwards), device_key=b64(der(ED)))).ok


@pytest.mark.parametrize(
    "more",
    [
        {"device_key": b64(der(OTHER))},
        {"device_key": b64(der(ED))},
        {"device_key": None},
        {"device_key": "?"},
        {"device_manifest": None},
        {"device_manifest": b64(b"a.b")},
        {"device_manifest": b64(token(claims=claims(size=1)))},
        {"device_manifest": b64(token(claims=claims(sha256="0" * 64)))},
        {"device_manifest": b64(token(claims=claims(v=2)))},
        {"device_manifest": b64(token(claims=b"[]"))},
        {"device_manifest": b64(token({"alg": "none"}, claims(), lambda _: b""))},
        {"device_manifest": b64(token({"alg": "HS256"}, claims(), lambda _: b"x" * 64))},
        {"device": "cam-other"},
        {"recording": "elsewhere"},
        {"device_signature": "perhaps"},
        {"device_signature": "absent"},
    ],
)
def test_what_is_not_so_is_found(more):
    """Another key, another manifest, another recording, a verdict that is none."""
    assert not judged(detail(**more)).ok


def test_a_seal_of_other_bytes_is_found():
    """The leaf decides what was sealed."""
    other = msgspec.structs.replace(LEAF, facts={**FACTS, "size": 1})
    assert not judged(detail(), other).ok


def test_invalid_and_absent_are_counted_and_no_findings():
    """They are what they say; other entries, and seals of before, have nothing to say."""
    assert judged({"device_signature": "invalid", "device_manifest": "?"}).counts == {"device_signatures_invalid": 1}
    assert judged({"device_signature": "absent"}).ok
    assert judged({}).counts == {}
    assert judged(detail(), msgspec.structs.replace(LEAF, kind="view")).counts == {}
