"""A key a day for each whose frames are journalled: destroyed with one, nobody else's frames are touched."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gateway.crypto.sealing import KEY_BYTES, fresh_key
from gateway.errors import IntegrityError

SLOT_BYTES = 8


class Secrets(Protocol):
    """Wrapped secrets by name (journal/keys.db)."""

    def put_many(self, secrets: Mapping[str, bytes]) -> None:
        """Keep secrets, all durable on return."""
        ...

    def all(self, prefix: str) -> dict[str, bytes]:
        """Every secret whose name begins so."""
        ...

    def names(self, prefix: str = "") -> list[str]:
        """Names that begin so."""
        ...

    def delete_many(self, names: Collection[str]) -> int:
        """Destroy secrets, for good on return; how many there were."""
        ...


class OwnerKey:
    """One key: by which slot its frames are known, whose it is."""

    __slots__ = ("_cipher", "owner", "slot")

    def __init__(self, slot: bytes, owner: str, key: bytes) -> None:
        self.slot, self.owner = slot, owner
        self._cipher = ChaCha20Poly1305(key)

    def seal(self, nonce: bytes, content: bytes, associated: bytes) -> bytes:
        """ChaCha20-Poly1305 (RFC 8439)."""
        return self._cipher.encrypt(nonce, content, associated)

    def open(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
        """Undo seal; IntegrityError if a bit differs."""
        try:
            return self._cipher.decrypt(nonce, sealed, associated)
        except InvalidTag as wrong:
            raise IntegrityError("a journalled frame does not open") from wrong


class JournalKeys:
    """Makes, opens and destroys the keys of each day; the secret of a slot is its key and whose it is."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def of_day(self, day: str) -> dict[bytes, OwnerKey]:
        """Every key of a day by its slot."""
        found = {}
        for name, secret in self._secrets.all(f"journal/{day}/").items():
            slot = bytes.fromhex(name.rpartition("/")[2])
            found[slot] = OwnerKey(slot, secret[KEY_BYTES:].decode(), secret[:KEY_BYTES])
        return found

    def make(self, day: str, owners: Iterable[str]) -> dict[str, OwnerKey]:
        """New keys, durable before anything is sealed under them."""
        made = {owner: (os.urandom(SLOT_BYTES), fresh_key()) for owner in owners}
        self._secrets.put_many({_name(day, slot): key + owner.encode() for owner, (slot, key) in made.items()})
        return {owner: OwnerKey(slot, owner, key) for owner, (slot, key) in made.items()}

    def slots(self, day: str) -> list[bytes]:
        """The slots of a day that have a key, none of them opened."""
        return [bytes.fromhex(name.rpartition("/")[2]) for name in self._secrets.names(f"journal/{day}/")]

    def destroy(self, day: str, slots: Collection[bytes]) -> int:
        """Destroy keys; what was sealed under them is gone. Idempotent."""
        return self._secrets.delete_many([_name(day, slot) for slot in slots])


def _name(day: str, slot: bytes) -> str:
    return f"journal/{day}/{slot.hex()}"
