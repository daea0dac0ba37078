"""The device authority's directory: two authorities, so that no device can ever pass for the gateway.

`device-ca` certifies devices; `site-ca` the broker and the gateway. A broker that asks each of its
listeners for another one tells them apart whatever name a certificate bears.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from gateway.crypto.authority_files import PUBLIC, create, folder, read, replace
from gateway.crypto.certificates import Authority, Issued, Request, Revoked, new_key, public_of, self_signed
from gateway.domain.ids import RESERVED, device_id
from gateway.errors import ConfigError

GATEWAY, BROKER, PROBE = "gateway", "broker", "lapel-probe"
OURS = RESERVED | {GATEWAY, BROKER, PROBE}
"""Names that no device may bear."""


def enrollable(name: str) -> str:
    """Check the name of a device to enrol; ValueError says why it can be none."""
    if name in OURS:
        raise ValueError(f"{name!r} is reserved")
    return device_id(name)


class AuthorityFiles:
    """Keys and certificates of one authority directory; made where there are none by `open`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._device: Authority | None = None
        self._site: Authority | None = None

    @property
    def exists(self) -> bool:
        """Whether an authority was made here."""
        return (self.directory / "device-ca.crt").exists()

    def open(self, now: datetime) -> None:
        """Read both authorities; make what is missing. Killed in between, the next call goes on."""
        folder(self.directory)
        self._device = self._authority("device-ca", "Lapel device authority", now)
        self._site = self._authority("site-ca", "Lapel site authority", now)

    @property
    def device(self) -> Authority:
        """Who certifies devices."""
        assert self._device is not None, "open it first"
        return self._device

    @property
    def site(self) -> Authority:
        """Who certifies the broker and the gateway."""
        assert self._site is not None, "open it first"
        return self._site

    def key_of(self, name: str) -> bytes:
        """The private key of an identity that is kept here (PEM), made at the first call."""
        path = self.directory / f"{name}.key"
        if not path.exists():
            create(path, new_key())
        return read(path, private=True)

    def certificate_of(self, name: str) -> bytes | None:
        """The certificate of an identity that is kept here."""
        path = self.directory / f"{name}.crt"
        return read(path) if path.exists() else None

    def certify(self, name: str, now: datetime, days: int, hosts: Sequence[str] = ()) -> Issued:
        """A certificate for the key that is kept here under that name; not yet written."""
        issuer = self.device if name == PROBE else self.site
        return issuer.issue(Request(name, public_of(self.key_of(name))), now, days, hosts)

    def write(self, name: str, content: bytes) -> None:
        """Put a public file in place."""
        replace(self.directory / name, content)

    def write_revocations(self, devices: Iterable[Revoked], site: Iterable[Revoked], now: datetime) -> None:
        """Write both revocation lists anew."""
        self.write("device-ca.crl", self.device.revocations(devices, now))
        self.write("site-ca.crl", self.site.revocations(site, now))

    def _authority(self, stem: str, name: str, now: datetime) -> Authority:
        key, certificate = self.directory / f"{stem}.key", self.directory / f"{stem}.crt"
        if not key.exists():
            if certificate.exists():
                raise ConfigError("authority", f"{key.name} is gone; restore it from the backup", str(self.directory))
            create(key, new_key())
        private = read(key, private=True)
        try:
            if not certificate.exists():
                create(certificate, self_signed(private, name, now), PUBLIC)
            return Authority(private, read(certificate))
        except (ValueError, TypeError) as problem:
            raise ConfigError("authority", f"{stem}: {problem}", str(self.directory)) from problem
