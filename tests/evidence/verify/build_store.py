"""A naive writer of a whole data directory, straight from docs/formats.md: plain recursion, no shared code.

It is slow and simple on purpose; what it writes, the verifier must accept, and nothing near it.
"""

import base64
import hashlib
import hmac
import json
import os
import sqlite3
import struct

import rfc8785
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MEDIA = ("container", "codecs", "duration_s", "media_created_at", "playable", "media_reason", "thumbnail")
ORIGIN = "lapel.example/pes"
AT = "2026-11-21T21:08:02Z"


def sha(raw):
    """SHA-256."""
    return hashlib.sha256(raw).digest()


def mth(entries):
    """RFC 6962 section 2.1, as it is written there."""
    if not entries:
        return sha(b"")
    if len(entries) == 1:
        return sha(b"\x00" + entries[0])
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return sha(b"\x01" + mth(entries[:k]) + mth(entries[k:]))


def tile_path(level, index, width=256):
    """tlog-tiles path below tile/."""
    text = f"{index % 1000:03d}"
    while index >= 1000:
        index //= 1000
        text = f"x{index % 1000:03d}/{text}"
    return f"{level}/{text}" + (f".p/{width}" if width != 256 else "")


def put(path, raw):
    """Write a file, with its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)


def b64(raw):
    """Base64, as text."""
    return base64.b64encode(raw).decode()


def note(text, key, name):
    """A signed note, and the verifier key."""
    public = key.public_key().public_bytes_raw()
    key_id = sha(name.encode() + b"\n\x01" + public)[:4]
    line = f"— {name} {b64(key_id + key.sign(text.encode()))}\n"
    return (text + "\n" + line).encode(), f"{name}+{key_id.hex()}+{b64(bytes([1]) + public)}\n".encode()


def checkpoint(entries, key, name=ORIGIN):
    """A signed checkpoint over these entries, and the verifier key."""
    return note(f"{name}\n{len(entries)}\n{b64(mth(entries))}\n", key, name)


def write_log(top, entries, key, name=ORIGIN):
    """Checkpoint, vkey, every tile that the size demands."""
    signed, vkey = checkpoint(entries, key, name)
    put(top / "checkpoint", signed)
    put(top / "log.vkey", vkey)
    put(top / "lock", b"")
    size = len(entries)
    for start in range(0, size, 256):
        some = entries[start : start + 256]
        bundle = b"".join(struct.pack(">H", len(one)) + one for one in some)
        put(top / "tile" / tile_path("entries", start // 256, len(some)), bundle)
    level, step = 0, 1
    while size // step:
        hashes = [mth(entries[i * step : (i + 1) * step]) for i in range(size // step)]
        for start in range(0, len(hashes), 256):
            some = hashes[start : start + 256]
            put(top / "tile" / tile_path(level, start // 256, len(some)), b"".join(some))
        level, step = level + 1, step * 256


def seal_key(kek, name, key):
    """Wrap: nonce ‖ ciphertext ‖ tag under the KEK."""
    nonce = os.urandom(12)
    return nonce + AESGCM(kek).encrypt(nonce, key, b"lapel/v1 " + name.encode())


def hkdf(ikm, salt, what):
    """HKDF-SHA-256, 32 bytes."""
    return HKDF(SHA256(), 32, salt, what).derive(ikm)


def raw64(raw):
    """Unpadded base64."""
    return base64.b64encode(raw).rstrip(b"=")


def age_file(plain, recipients):
    """An age v1 file to X25519 public keys (32 bytes each)."""
    file_key = os.urandom(16)
    header = b"age-encryption.org/v1\n"
    for public in recipients:
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
        wrap = hkdf(shared, share + public, b"age-encryption.org/v1/X25519")
        body = ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, None)
        header += b"-> X25519 " + raw64(share) + b"\n" + raw64(body) + b"\n"
    header += b"---"
    mac = hmac.digest(hkdf(file_key, b"", b"header"), header, "sha256")
    nonce = os.urandom(16)
    cipher = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload"))
    chunks = [plain[i : i + 65536] for i in range(0, len(plain), 65536)] or [b""]
    out = header + b" " + raw64(mac) + b"\n" + nonce
    for number, chunk in enumerate(chunks):
        last = number == len(chunks) - 1
        out += cipher.encrypt(number.to_bytes(11, "big") + bytes([last]), chunk, None)
    return out


class Store:
    """A store in the making: seal exhibits, add acts, then `write`."""

    def __init__(self, root, kek=b"", key=None):
        self.root = root
        self.evidence = root / "evidence"
        self.keys = root / "keys"
        self.kek = kek or os.urandom(32)
        self.key = key or Ed25519PrivateKey.generate()
        self.entries, self.leaves, self.records, self.acts = [], [], [], []
        self.chains, self.exhibits, self.wrapped = {}, {}, {}
        self.details_key = os.urandom(32)
        self.media = MEDIA
        self.wrap("details/000000", self.details_key)

    def wrap(self, name, key):
        """Add a row of keys.db."""
        self.wrapped[name] = ("kek-1", seal_key(self.kek, name, key))

    def detail_record(self, detail, mark=b"D"):
        """One record of a details file, and its HMAC in hex."""
        salt = os.urandom(32)
        mac = hmac.digest(salt, rfc8785.dumps(detail), "sha256")
        nonce = os.urandom(12)
        plain = rfc8785.dumps({"v": 1, "salt": b64(salt), "detail": detail})
        sealed = AESGCM(self.details_key).encrypt(nonce, plain, mac)
        return mark + struct.pack(">I", len(sealed)) + mac + nonce + sealed, mac.hex()

    def act(self, kind, exhibit=None, detail=None, **facts):
        """Record one act: its detail, then its leaf. Gives the leaf's fields."""
        detail = {"v": 1, "actor": "system", **(detail or {})}
        if exhibit is not None:
            detail |= {"exhibit": exhibit, "n": self.chains.get(exhibit, (0, None))[0] + 1}
        record, mac = self.detail_record(detail)
        self.records.append(record)
        leaf = {"v": 1, "kind": kind, "at": AT, "build": "0.1.0+test", "hmac": mac, **facts}
        if exhibit is not None:
            n, prev = self.chains.get(exhibit, (0, None))
            leaf |= {"exhibit": exhibit, "n": n + 1, "prev": prev}
        raw = rfc8785.dumps(leaf)
        if exhibit is not None:
            self.chains[exhibit] = (leaf["n"], sha(raw).hex())
        self.acts.append((len(self.entries), leaf, detail, sha(raw).hex()))
        self.entries.append(raw)
        return leaf

    def dispose(self, exhibit, details="kept", *, skip=(), **facts):
        """The whole way out of one exhibit, with `skip` of its entries left out; key, blob, details follow."""
        about = {"disposal": "D-1", "details": details}
        for kind in ("dispose_request", "dispose_approve", "key_destroy", "dispose"):
            if kind not in skip:
                self.act(kind, exhibit, {"approver": "P-2"}, **about, **facts)
        blob = next(leaf["blob"] for _, leaf, _, _ in self.acts if leaf.get("exhibit") == exhibit and "blob" in leaf)
        self.wrapped.pop(f"identity/{exhibit}", None)
        (self.evidence / "blobs" / blob[:2] / blob[2:4] / f"{blob}.age").unlink()
        for index, leaf, _, _ in self.acts:
            if (
                details == "erased"
                and leaf.get("exhibit") == exhibit
                and leaf["kind"] not in {"key_destroy", "dispose"}
            ):
                raw = self.records[index]
                self.records[index] = b"E" + raw[1:49] + bytes(len(raw) - 49)
        return self.rewrite()

    def rewrite(self):
        """Write everything anew over what was written before."""
        for path in (self.evidence / "log" / "tile").rglob("*.p/*"):
            path.unlink()
        return self.write()

    def seal(self, exhibit, plain, blob=None):
        """Receive and seal one exhibit with its blob."""
        identity = os.urandom(32)
        public = X25519PrivateKey.from_private_bytes(identity).public_key().public_bytes_raw()
        blob = blob or os.urandom(16).hex()
        ciphertext = age_file(plain, [public])
        self.wrap(f"identity/{exhibit}", identity)
        told = {
            "device": "cam-0042",
            "recording": "20261121T210503Z-0017",
            "holder": "P-0014",
            "flags": [],
            "started_at": "2026-11-21T21:05:03Z",
            "ended_at": "2026-11-21T21:06:40Z",
            "content_type": "video/mp4",
        }
        self.act("receive", exhibit, told, controller="PCC", category="uncategorised")
        facts = {
            "controller": "PCC",
            "category": "uncategorised",
            "sha256": sha(plain).hex(),
            "size": len(plain),
            "complete": True,
            "rule": "PCC/uncategorised@3",
            "due": "2026-12-22",
            "held": False,
            "blob": blob,
            "blob_sha256": sha(ciphertext).hex(),
            "key": "kek-1",
        }
        self.act("seal", exhibit, told, **facts)
        put(self.evidence / "blobs" / blob[:2] / blob[2:4] / f"{blob}.age", ciphertext)
        self.exhibits[exhibit] = (blob, identity, plain)
        return blob

    def examine(self, exhibit, picture=None, **found):
        """What an examination of the master found, and its thumbnail."""
        facts = {"what": "media"}
        if picture is not None:
            public = X25519PrivateKey.from_private_bytes(self.exhibits[exhibit][1]).public_key().public_bytes_raw()
            ciphertext = age_file(picture, [public])
            facts["thumbnail"] = sha(ciphertext).hex()
            put(self.thumbnail(exhibit), ciphertext)
        return self.act("derive", exhibit, found, **facts)

    def thumbnail(self, exhibit):
        """Where its thumbnail lies."""
        return self.evidence / "thumbnails" / exhibit[-2:] / f"{exhibit}.age"

    def write(self):
        """Write everything but the blobs, which are there."""
        write_log(self.evidence / "log", self.entries, self.key)
        self.write_details()
        self.write_keys()
        self.write_catalogue()
        return self

    def write_details(self):
        """The details files of 4,096 records each (here: one)."""
        put(self.evidence / "details" / "000000.dtl", b"LAPELDTL1\n" + b"".join(self.records))

    def write_keys(self):
        """keys.db and the key files."""
        put(self.keys / "kek-1.key", b64(self.kek).encode() + b"\n")
        pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        put(self.keys / "log.key", self.key.private_bytes(*pem))
        path = self.evidence / "keys.db"
        path.unlink(missing_ok=True)
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE wrapped(name TEXT PRIMARY KEY, kek TEXT, sealed BLOB)")
            db.executemany("INSERT INTO wrapped VALUES (?, ?, ?)", [(n, *v) for n, v in self.wrapped.items()])
        db.close()

    def write_catalogue(self, applied=None):
        """evidence.db, projected as the document says."""
        path = self.evidence / "evidence.db"
        path.unlink(missing_ok=True)
        applied = len(self.entries) if applied is None else applied
        db = sqlite3.connect(path)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT)")
        db.execute("INSERT INTO meta VALUES ('applied_size', ?)", (str(applied),))
        db.execute(
            "CREATE TABLE exhibit(id TEXT PRIMARY KEY, device, recording, controller, category, content_type, size,"
            " sha256, complete, blob, blob_sha256, received_at, sealed_at, started_at, ended_at, holder, flags,"
            " log_index, n, prev" + "".join(f", {name}" for name in self.media) + ")"
        )
        db.execute(
            "CREATE TABLE custody(log_index INTEGER PRIMARY KEY, exhibit, n, kind, at, actor, leaf_sha256, hmac)"
        )
        rows = {}
        for index, leaf, detail, digest in self.acts[:applied]:
            custody = [
                leaf.get("exhibit"),
                leaf.get("n"),
                leaf["kind"],
                milliseconds(leaf["at"]),
                detail["actor"],
                digest,
            ]
            db.execute("INSERT INTO custody VALUES (?,?,?,?,?,?,?,?)", (index, *custody, leaf["hmac"]))
            if leaf["kind"] == "dispose" and leaf.get("details") == "erased":
                db.execute("UPDATE custody SET actor = NULL WHERE exhibit = ? AND n < ?", (leaf["exhibit"], leaf["n"]))
            if "exhibit" in leaf:
                self._project(rows.setdefault(leaf["exhibit"], {}), index, leaf, detail, digest)
        for name, row in rows.items():
            row["id"] = name
            columns = list(row)
            marks = ",".join("?" * len(columns))
            db.execute(f"INSERT INTO exhibit({','.join(columns)}) VALUES ({marks})", [row[c] for c in columns])
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()

    @staticmethod
    def _project(row, index, leaf, detail, digest):
        row |= {"n": leaf["n"], "prev": digest}
        row.setdefault("log_index", index)
        told = ("device", "recording", "holder", "started_at", "ended_at", "content_type", "controller", "category")
        sealed = ("sha256", "size", "complete", "blob", "blob_sha256")
        admitting = leaf["kind"] in {"receive", "seal"}
        if admitting or leaf["kind"] in {"categorise", "amend", "attribute"}:
            names = told + sealed if admitting else ("holder", "controller", "category", "started_at", "ended_at")
            row |= {name: detail[name] for name in names if name in detail}
            row |= {name: leaf[name] for name in names if name in leaf}
            row |= {"flags": json.dumps(detail["flags"])} if "flags" in detail else {}
        if leaf["kind"] == "derive" and leaf.get("what") == "media":
            found = {name: {**detail, **leaf}.get(name) for name in MEDIA}
            row |= found | {"codecs": json.dumps(found["codecs"] or [])}
            row["media_created_at"] = found["media_created_at"] and milliseconds(found["media_created_at"])
        if leaf["kind"] == "dispose" and leaf.get("details") == "erased":
            told = ("device", "recording", "content_type", "holder", "started_at", "ended_at")
            row |= {**dict.fromkeys(told), "flags": "[]"}
        if leaf["kind"] == "receive":
            row["received_at"] = milliseconds(leaf["at"])
        if leaf["kind"] == "seal":
            row |= {"sealed_at": milliseconds(leaf["at"]), "log_index": index}


def milliseconds(time):
    """A time as the catalogue prints it."""
    return time if "." in time else time.replace("Z", ".000Z")


def small_store(root, exhibits=2, acts=3):
    """A store with a few exhibits of different sizes and some acts on them."""
    store = Store(root)
    store.act("account", detail={"name": "somebody"})
    sizes = [70_000, 1000, 0, 65_536]
    for number in range(exhibits):
        store.seal(f"X-{number:04d}", os.urandom(sizes[number % 4]))
    for number in range(acts):
        store.act("view", f"X-{number % exhibits:04d}", {"seconds": number})
    return store.write()


def log_of(root, size):
    """A store whose log has this many entries that concern no exhibit."""
    store = Store(root)
    for number in range(size):
        store.act("account", detail={"number": number})
    return store.write()
