"""Device manifests at the seal: who signed is recorded; what is wrong is flagged, and the footage kept all the same."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.devices import Credential
from gateway.domain.evidence import RecordingKey
from gateway.domain.ids import DeviceId
from gateway.evidence.signature import check_manifest, device_flags
from gateway.evidence.vault.assembly import Intent
from gateway.roster.rights import Rights
from tests.crypto.test_jws import ED, OTHER, P256, der, es256, token
from tests.evidence.vault.lab import AT, KEY, MIB, Lab, fin, noise, offer, pieces, sha

CLIP = noise(MIB + 77)
YEAR = timedelta(days=365)


def credential(device=KEY.device, key=P256, **more) -> Credential:
    """A certificate that stands."""
    facts = {
        "device": DeviceId(device),
        "kind": "camera",
        "serial": "1a2b",
        "public_key": der(key),
        "key_origin": "device",
        "not_before": AT - YEAR,
        "not_after": AT + YEAR,
    }
    return Credential(**{**facts, **more})


GATEWAY = credential("gateway", OTHER, kind="gateway", serial="9")


def claims(content=CLIP, **more) -> bytes:
    """What a camera says of a recording."""
    said = {"v": 1, "device": KEY.device, "recording": KEY.recording, "size": len(content), "sha256": sha(content)}
    return json.dumps({**said, "n": 17, "prev": "ab" * 32, "part": 2, "continues": "rec-16", **more}).encode()


def signed(**more) -> bytes:
    """A good manifest but for what is stated."""
    return token(claims=claims(**more))


class Office(Lab):
    """A vault with a device authority."""

    def __init__(self, root, *credentials: Credential) -> None:
        """State what was issued."""
        super().__init__(root)
        self.rights = Rights([GATEWAY, *credentials])

    def recordings(self):
        """A sink that knows the authority."""
        sink = super().recordings()
        sink._needs = sink._sealing._needs = msgspec.structs.replace(sink._needs, rights=self.rights)
        return sink


async def sealed_with(office: Office, manifest: bytes, key=KEY):
    """Upload and fin; the seal and its detail."""
    async with office.running() as sink:
        await sink.begin(offer(CLIP, key=key))
        for piece in pieces(CLIP, MIB, key):
            await sink.keep(piece)
        sealed = await sink.finish(fin(CLIP, key, manifest=manifest))
    assert office.content(sealed.exhibit) == CLIP
    return sealed, office.log.details("seal")[-1]


async def test_a_good_manifest_is_valid_and_its_place_recorded(tmp_path):
    """Verdict, origin of the key, serial, the key itself, n, prev, part and continues; no flag."""
    sealed, detail = await sealed_with(Office(tmp_path, credential()), signed())
    assert sealed.flags == ()
    assert (detail["device_signature"], detail["key_origin"], detail["serial"]) == ("valid", "device", "1a2b")
    assert base64.b64decode(detail["device_key"]) == der(P256)
    assert detail["manifest"] == {"n": 17, "prev": "ab" * 32, "part": 2, "continues": "rec-16"}
    assert "problem" not in detail


async def test_no_manifest_is_absent_and_never_taken_for_valid(tmp_path):
    """Absent is said."""
    sealed, detail = await sealed_with(Office(tmp_path, credential()), b"")
    assert (detail["device_signature"], sealed.flags) == ("absent", ())
    assert "device_manifest" not in detail


FOREIGN = token(claims=claims(device="cam-other"))
BAD = {
    "another recording": (signed(recording="elsewhere"), "recording is"),
    "another device": (FOREIGN, "device is"),
    "another size": (signed(size=1), "size is"),
    "size as text": (signed(size=str(len(CLIP))), "size is"),
    "size as float": (signed(size=float(len(CLIP))), "size is"),
    "another sha256": (signed(sha256="0" * 64), "sha256 is"),
    "another version": (signed(v=2), "v is"),
    "version as true": (signed(v=True), "v is"),
    "n beyond what JSON can say": (signed(n=1 << 60), "n is"),
    "n as a list": (signed(n=[1]), "n is"),
    "a control character": (signed(continues="a\u0000b"), "continues is"),
    "another key": (token(claims=claims(), sign=lambda content: es256(content, OTHER)), "not signed by a key of this"),
    "another kind of key": (token({"alg": "EdDSA"}, claims(), ED.sign), "not signed by a key of this device"),
    "algorithm none": (token({"alg": "none"}, claims(), lambda _: b""), "alg is 'none'"),
    "HMAC": (token({"alg": "HS256"}, claims(), lambda _: b"x" * 64), "alg is 'HS256'"),
    "junk": (b"\x00\xff junk", "not ASCII"),
    "a surrogate": (token(claims=b'{"v":1,"device":"\\ud800"}'), "device is"),
    "too long for a token": (b"a" * 70_000, "at most"),
    "too long to keep": (b"a" * 300_000, "too large"),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_is_wrong_is_flagged_and_the_footage_kept(tmp_path, name):
    """Sealed whole, the manifest beside it as it came, the reason in words; never valid."""
    manifest, said = BAD[name]
    sealed, detail = await sealed_with(Office(tmp_path, credential()), manifest)
    assert detail["device_signature"] == "invalid"
    assert said in detail["problem"]
    assert "device_signature_invalid" in sealed.flags
    assert "manifest" not in detail
    assert "device_key" not in detail
    if name != "too long to keep":
        assert base64.b64decode(detail["device_manifest"]) == manifest


async def test_another_cameras_manifest_proves_nothing_for_this_one(tmp_path):
    """A recording and manifest of cam-other, replayed under this name: neither its key nor its word counts here."""
    other = credential("cam-other", OTHER, serial="77")
    office = Office(tmp_path, credential(), other)
    replayed = token(claims=claims(device="cam-other"), sign=lambda content: es256(content, OTHER))
    _, detail = await sealed_with(office, replayed)
    assert (detail["device_signature"], detail["problem"][:9]) == ("invalid", "device is")
    renamed = token(claims=claims(), sign=lambda content: es256(content, OTHER))
    key = RecordingKey(KEY.device, "second")
    renamed = token(claims=claims(recording="second"), sign=lambda content: es256(content, OTHER))
    _, detail = await sealed_with(office, renamed, key)
    assert (detail["device_signature"], detail["problem"]) == ("invalid", "not signed by a key of this device")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"revoked_at": AT - timedelta(seconds=1), "reason": "lost"}, "revoked on"),
        ({"not_after": AT - timedelta(seconds=1)}, "holds from"),
        ({"not_before": AT + timedelta(seconds=1)}, "holds from"),
    ],
)
async def test_a_key_whose_certificate_does_not_stand_makes_none_valid(tmp_path, more, said):
    """Revoked, lapsed, not yet: kept; whose key it was is on record."""
    _sealed, detail = await sealed_with(Office(tmp_path, credential(**more)), signed())
    assert (detail["device_signature"], detail["serial"]) == ("invalid", "1a2b")
    assert said in detail["problem"]


async def test_the_newest_certificate_of_a_key_counts(tmp_path):
    """Renewed for the same key: the old one has lapsed, the new one stands."""
    office = Office(tmp_path, credential(not_after=AT - timedelta(days=1)), credential(serial="2"))
    _, detail = await sealed_with(office, signed())
    assert (detail["device_signature"], detail["serial"]) == ("valid", "2")


async def test_footage_of_a_revoked_device_is_kept_and_flagged(tmp_path):
    """However it came, with or without a manifest."""
    office = Office(tmp_path, credential(revoked_at=AT - timedelta(days=1)))
    sealed, detail = await sealed_with(office, b"")
    assert (sealed.flags, detail["device_signature"]) == (("device_revoked",), "absent")


async def test_footage_of_a_device_never_enrolled_is_kept_and_flagged(tmp_path):
    """While there is an authority; without one there is nothing to say."""
    sealed, _ = await sealed_with(Office(tmp_path), b"")
    assert sealed.flags == ("device_not_enrolled",)
    office = Office(tmp_path / "none")
    office.rights = Rights()
    sealed, _ = await sealed_with(office, b"")
    assert sealed.flags == ()


def test_a_camera_that_a_dock_speaks_for_needs_no_certificate():
    """But one that was revoked stays revoked."""
    assert device_flags(DeviceId("cam-x"), Rights([GATEWAY]), by_dock=True) == ()
    gone = Rights([GATEWAY, credential(revoked_at=AT)])
    assert device_flags(KEY.device, gone, by_dock=True) == ("device_revoked",)
    assert device_flags(KEY.device, None, by_dock=False) == ()


def intent(manifest: bytes) -> Intent:
    """What is sealed."""
    encoded = base64.b64encode(manifest).decode()
    return Intent("b", "blob.age", sha(CLIP), "", len(CLIP), complete=True, manifest=encoded)


@given(st.binary(max_size=200))
def test_whatever_a_device_sends_there_is_a_verdict(junk):
    """Never an error, never valid."""
    checked = check_manifest(intent(junk), KEY, Rights([credential()]), AT)
    assert checked.signature.verdict == "invalid"
    assert checked.signature.problem.isascii()


CLAIM = st.sampled_from(["v", "device", "recording", "size", "sha256", "n"])


@given(st.dictionaries(CLAIM, st.none() | st.integers() | st.text(max_size=8), min_size=1))
def test_a_signature_over_other_claims_is_not_valid(more):
    """Whatever is claimed, unless it is what it should be."""
    right = json.loads(claims())
    checked = check_manifest(intent(signed(**more)), KEY, Rights([credential()]), AT)
    harmless = all(
        (name == "n" and (value is None or isinstance(value, str) or value >= 0)) or right[name] == value
        for name, value in more.items()
    )
    assert harmless or checked.signature.verdict == "invalid"


def test_an_incomplete_recording_has_no_valid_manifest():
    """It is over other bytes than were meant."""
    half = msgspec.structs.replace(intent(signed()), complete=False)
    assert check_manifest(half, KEY, Rights([credential()]), AT).signature.verdict == "invalid"
    whole = check_manifest(intent(signed()), KEY, Rights([credential()]), AT)
    assert whole.signature.verdict == "valid"
