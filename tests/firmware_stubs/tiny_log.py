"""A log small enough to check by eye, built from the RFC 6962 rules alone: hashes, paths, a signed checkpoint."""

import base64
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ORIGIN = "lapel.example/log"


def tree_hash(leaves):
    """MTH of RFC 6962, section 2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = _split(len(leaves))
    return hashlib.sha256(b"\1" + tree_hash(leaves[:split]) + tree_hash(leaves[split:])).digest()


def path(index, leaves):
    """PATH of RFC 6962, section 2.1.1."""
    if len(leaves) <= 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*path(index, leaves[:split]), tree_hash(leaves[split:])]
    return [*path(index - split, leaves[split:]), tree_hash(leaves[:split])]


def _split(count):
    split = 1
    while split * 2 < count:
        split *= 2
    return split


def b64(octets):
    """Standard base64 as text."""
    return base64.b64encode(octets).decode()


class TinyLog:
    """Appends leaves, proves them, makes receipts."""

    def __init__(self, seed=b"\x07" * 32, origin=ORIGIN):
        self.key = Ed25519PrivateKey.from_private_bytes(seed)
        self.origin = origin
        self.leaves = []

    @property
    def _typed(self):
        return b"\x01" + self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def key_id(self):
        return hashlib.sha256(self.origin.encode() + b"\n" + self._typed).digest()[:4]

    @property
    def vkey(self):
        return f"{self.origin}+{self.key_id.hex()}+{b64(self._typed)}"

    def checkpoint(self, size=None):
        leaves = self.leaves[:size]
        body = f"{self.origin}\n{len(leaves)}\n{b64(tree_hash(leaves))}\n"
        signature = b64(self.key_id + self.key.sign(body.encode()))
        return f"{body}\n\u2014 {self.origin} {signature}\n"

    def proof(self, index, extra=None):
        lines = ["c2sp.org/tlog-proof@v1"]
        lines += [f"extra {b64(extra)}"] if extra is not None else []
        lines += [f"index {index}", *(b64(node) for node in path(index, self.leaves))]
        return "\n".join(lines) + "\n\n" + self.checkpoint()

    def append(self, leaf):
        self.leaves.append(leaf)
        return len(self.leaves) - 1

    def receipt(self, recording, size, sha256, exhibit="X-0001", before=3, after=2):
        """Seal a recording among other leaves and answer with its receipt."""
        for number in range(before):
            self.append(f'{{"kind":"view","n":{number}}}'.encode())
        leaf = {"v": 1, "kind": "seal", "exhibit": exhibit, "sha256": sha256, "size": size, "complete": True}
        entry = json.dumps(leaf, separators=(",", ":"), sort_keys=True).encode()
        index = self.append(entry)
        for number in range(after):
            self.append(f'{{"kind":"play","n":{number}}}'.encode())
        return {
            "v": 1,
            "exhibit": exhibit,
            "recording": recording,
            "size": size,
            "sha256": sha256,
            "log_index": index,
            "entry": b64(entry),
            "proof": self.proof(index),
            "copies": 1,
            "keep_until": "2026-11-22T21:08:02Z",
        }
