"""The device authority put together: its keys, what it has issued, and the log of its acts.

A certificate is on record before it leaves; a revocation holds before it is on record.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec

from gateway.crypto.authority import BROKER, GATEWAY, OURS, PROBE, AuthorityFiles, enrollable
from gateway.crypto.certificates import Issued, Request, RequestError, Revoked, new_key, public_of, read_request
from gateway.domain.devices import Credential, CredentialKind, KeyOrigin
from gateway.domain.evidence import Act
from gateway.domain.ids import DeviceId
from gateway.domain.time import rfc3339
from gateway.errors import GatewayError, StoreBusyError
from gateway.ports import Clock
from gateway.roster.rights import stands
from gateway.store.credentials import CredentialStore

RENEW_PAUSE = timedelta(hours=1)
"""A device that asks again so soon gets the certificate that it was given, or none."""
RENEW_SHARE = 3
"""Our own certificates are renewed when a third of their time is left."""
SITE_KINDS = frozenset({"gateway", "broker"})
Log = Callable[[Act], None]


class Wanted(msgspec.Struct, frozen=True):
    """What a certificate is to say beside name and key."""

    kind: CredentialKind
    origin: KeyOrigin
    cameras: tuple[DeviceId, ...] = ()
    hosts: tuple[str, ...] = ()
    upon: str | None = None
    """The serial that it renews, which must still stand when the new one is entered."""
    agency: str | None = None


class Given(msgspec.Struct, frozen=True):
    """What goes to a device: its certificate, whom it is to trust, and its key where that was made here."""

    credential: Credential
    certificate: bytes
    trust: bytes
    key: bytes | None = None


class Enrolment:
    """Enrol, renew, revoke; blocks, so that a gateway calls it from a thread."""

    def __init__(self, files: AuthorityFiles, store: CredentialStore, clock: Clock, log: Log, days: int = 365) -> None:
        """Name the parts; nothing is made before `open`."""
        self._files, self._store, self._clock, self._log, self._days = files, store, clock, log, days

    @property
    def directory(self) -> Path:
        """Where the authority lies."""
        return self._files.directory

    def open(self, actor: str) -> None:
        """Read the authority, or make it; then the gateway and its probe have identities, and lists of the revoked."""
        self._files.open(self._clock.now().utc)
        for name in (GATEWAY, PROBE):
            self._own(name, actor)
        if not (self.directory / "site-ca.crl").exists():
            self.publish()

    def enrol(
        self,
        name: str,
        kind: CredentialKind,
        csr: bytes | None,
        cameras: tuple[str, ...],
        actor: str,
        agency: str | None = None,
    ) -> Given:
        """A first or a further certificate for a device: for the key of a request, else for a key made here."""
        try:
            device = DeviceId(name if kind == "gateway" and name == GATEWAY else enrollable(name))
            spoken = tuple(DeviceId(enrollable(each)) for each in cameras)
        except ValueError as problem:
            raise RequestError(str(problem)) from problem
        if (kind == "gateway") != (name == GATEWAY):
            raise RequestError(f"kind gateway and the name {GATEWAY!r} go together")
        key = new_key() if csr is None else None
        request = Request(name, public_of(key)) if key is not None else _for(name, csr or b"")
        wanted = Wanted(kind, "operator" if csr is None else "device", spoken, agency=agency)
        credential, certificate = self._issue(device, request, wanted, "device_enrol", actor)
        return Given(credential, certificate, self._files.site.pem, key)

    def renew(self, name: str, csr: bytes, actor: str) -> Given:
        """The next certificate of a device whose key is its own and which still stands; RequestError says why not."""
        now = self._clock.now().utc
        device = DeviceId(name)
        standing = [each for each in self._store.rights().credentials(device) if stands(each, now)]
        if not standing or name in OURS:
            raise RequestError(f"{name} has no certificate that stands")
        last = standing[-1]
        if last.key_origin != "device":
            raise RequestError("a key that was made by the operator is renewed by the operator")
        request = _for(name, csr)
        if now - last.not_before < RENEW_PAUSE * 2:  # it counts from an hour before it was made
            if request.public_key != last.public_key:
                raise RequestError("renewed just now, for another key")
            return self._given(last)
        wanted = Wanted(last.kind, "device", last.cameras, upon=last.serial, agency=last.agency)
        credential, certificate = self._issue(device, request, wanted, "device_renew", actor)
        return Given(credential, certificate, self._files.site.pem)

    def renew_here(self, name: str, csr: bytes | None, actor: str) -> Given:
        """The next certificate at an operator's word: for a request, a new key made here, or a key of our own."""
        if name in OURS:
            raise GatewayError(f"{name} renews itself (`lapel broker config` for the broker)")
        have = self._store.rights().credentials(DeviceId(name))
        if not have or have[-1].revoked_at is not None:
            raise GatewayError(f"{name} has no certificate that stands; enrol it")
        if csr is None and have[-1].key_origin == "device":
            raise GatewayError(f"{name} made its key itself: give its request (--csr)")
        return self.enrol(name, have[-1].kind, csr, have[-1].cameras, actor, have[-1].agency)

    def revoke(self, name: str, reason: str, actor: str) -> int:
        """Take back every certificate of a device; how many stood. The lists for the broker are written at once."""
        if name in OURS:
            raise GatewayError(f"{name} is our own")
        serials = self._store.revoke(DeviceId(name), self._clock.now().utc, reason, actor)
        self.publish()
        if serials:
            detail = {"act": "device_revoke", "device": name, "serials": list(serials), "reason": reason}
            self._log(Act("account", actor, detail=detail))
        return len(serials)

    def server(self, hosts: tuple[str, ...], actor: str) -> Issued:
        """The broker's certificate for these hosts; made anew where it lapses, or other hosts are asked for."""
        stated = ",".join(hosts).encode()
        remembered = self.directory / "broker.hosts"
        same = remembered.exists() and remembered.read_bytes() == stated
        issued = self._own(BROKER, actor, hosts, fresh=not same)
        self._files.write("broker.hosts", stated)
        return issued

    def renew_own(self, actor: str) -> list[str]:
        """Renew the certificates of the gateway and its probe where a third of their time is left; which were."""
        before = {name: self._files.certificate_of(name) for name in (GATEWAY, PROBE)}
        for name in before:
            self._own(name, actor)
        return [name for name, old in before.items() if old != self._files.certificate_of(name)]

    def renew_copy(self, path: Path) -> bool:
        """Put our renewed certificate where the configuration names an older one of the same key."""
        ours, there = self._files.certificate_of(GATEWAY), path.read_bytes()
        mine = None if ours is None else self._files.site.issued(ours)
        theirs = self._files.site.issued(there)
        if ours is None or mine is None or theirs is None or theirs.public_key != mine.public_key or ours == there:
            return False
        AuthorityFiles(path.parent).write(path.name, ours)
        return True

    def publish(self) -> None:
        """Write the revocation lists anew."""
        taken = [each for each in self._store.rights().everything() if each.revoked_at is not None]
        lists: tuple[list[Revoked], list[Revoked]] = ([], [])
        for each in taken:
            assert each.revoked_at is not None
            lists[each.kind in SITE_KINDS].append(Revoked(each.serial, each.revoked_at))
        self._files.write_revocations(*lists, self._clock.now().utc)

    def revoked(self) -> list[DeviceId]:
        """Devices of which no certificate stands any more."""
        rights = self._store.rights()
        return sorted(device for device in {each.device for each in rights.everything()} if rights.revoked(device))

    def consumers(self) -> dict[str, str | None]:
        """Who may read the feed over the broker, and do nothing else there: by the newest certificate that stands.

        To each its agency, whose view it reads; None: the whole.
        """
        newest = {each.device: each for each in self._store.rights().everything() if each.revoked_at is None}
        return {device: newest[device].agency for device in sorted(newest) if newest[device].kind == "consumer"}

    def _own(self, name: str, actor: str, hosts: tuple[str, ...] = (), *, fresh: bool = False) -> Issued:
        """The certificate of an identity kept here; made where there is none, or little of its time is left."""
        now = self._clock.now().utc
        issuer = self._files.device if name == PROBE else self._files.site
        have = self._files.certificate_of(name)
        issued = None if have is None else issuer.issued(have)
        if issued is not None and issued.public_key != public_of(self._files.key_of(name)):
            issued = None
        if issued is not None and not fresh:
            left, whole = issued.not_after - now, issued.not_after - issued.not_before
            if left * RENEW_SHARE > whole:
                return issued
        made = self._files.certify(name, now, self._days, hosts)
        kind: CredentialKind = "broker" if name == BROKER else "gateway"
        self._enter(_credential(DeviceId(name), made, Wanted(kind, "operator")), made, "device_renew", actor)
        self._files.write(f"{name}.crt", made.pem)
        return made

    def _issue(
        self, device: DeviceId, request: Request, wanted: Wanted, act: str, actor: str
    ) -> tuple[Credential, bytes]:
        self._own_key(device, request)
        issuer = self._files.site if wanted.kind in SITE_KINDS else self._files.device
        issued = issuer.issue(request, self._clock.now().utc, self._days, wanted.hosts)
        credential = _credential(device, issued, wanted)
        self._enter(credential, issued, act, actor, wanted.upon)
        return credential, issued.pem

    def _own_key(self, device: DeviceId, request: Request) -> None:
        """A key is one device's, and one that was taken back is never given out again."""
        for each in self._store.rights().everything():
            if each.public_key == request.public_key and each.device != device:
                raise RequestError(f"that key is {each.device}'s")
            if each.public_key == request.public_key and each.revoked_at is not None:
                raise RequestError("that key was taken back; the device must make another")

    def _enter(self, credential: Credential, issued: Issued, act: str, actor: str, upon: str | None = None) -> None:
        detail = {
            "act": act,
            "device": credential.device,
            "serial": credential.serial,
            "kind": credential.kind,
            "key_origin": credential.key_origin,
            "not_after": rfc3339(credential.not_after),
            "cameras": list(credential.cameras),
            **({"agency": credential.agency} if credential.agency is not None else {}),
        }
        self._log(Act("account", actor, detail=detail))
        try:
            self._store.add(credential, issued.pem, self._clock.now().utc, actor, upon)
        except StoreBusyError:
            raise
        except GatewayError as revoked:  # since we looked: what is on record never leaves, and the log says so
            self._log(Act("account", actor, detail={**detail, "act": "device_not_renewed", "problem": str(revoked)}))
            raise RequestError(str(revoked)) from revoked

    def _given(self, credential: Credential) -> Given:
        certificate = self._store.certificate(credential.serial) or ""
        return Given(credential, certificate.encode(), self._files.site.pem)


def _for(name: str, csr: bytes) -> Request:
    request = read_request(csr)
    if request.name != name:
        raise RequestError(f"the request is for {request.name[:64]!r}, not for {name!r}")
    return request


def _credential(device: DeviceId, issued: Issued, wanted: Wanted) -> Credential:
    return Credential(
        device=device,
        kind=wanted.kind,
        serial=issued.serial,
        public_key=issued.public_key,
        key_origin=wanted.origin,
        not_before=issued.not_before,
        not_after=issued.not_after,
        cameras=wanted.cameras,
        agency=wanted.agency,
    )
