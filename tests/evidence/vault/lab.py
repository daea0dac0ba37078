"""A vault with fakes around it that outlive a restart, as disk, keys.db and the log do."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import random
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gateway.crypto.age import chacha20poly1305
from gateway.domain.evidence import (
    Act,
    Attribution,
    Recorded,
    RecordingFin,
    RecordingKey,
    RecordingOffer,
    Segment,
)
from gateway.domain.ids import DeviceId
from gateway.domain.time import Instant
from gateway.errors import StoreBusyError
from gateway.evidence.fold import fold
from gateway.evidence.leaf import check, compose, fresh_salt
from gateway.evidence.needs import FixedTerms, Needs
from gateway.evidence.recordings import Recordings
from gateway.evidence.rows import Chain, Entry
from gateway.evidence.shares import Limits, RecordingSettings
from gateway.evidence.vault.files import DiskFiles

MIB = 1024 * 1024
KEY = RecordingKey(DeviceId("cam-0042"), "20261121T210503Z-0017")
BEGAN = datetime(2026, 11, 21, 21, 5, 3, tzinfo=UTC)
AT = datetime(2026, 11, 21, 21, 8, 2, tzinfo=UTC)


def noise(octets: int, seed: int = 1) -> bytes:
    """Bytes that repeat nowhere, the same for one seed."""
    return random.Random(seed).randbytes(octets)


def sha(content: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(content).hexdigest()


class FakeLog:
    """Custody, entries and catalogue in memory: real leaves, real fold, a proof that only names its index."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.exhibits = {}
        self.refuse: list[str] = []
        self.lose: list[str] = []

    async def record(self, act: Act) -> Recorded:
        """Record; `refuse` fails before the commit, `lose` after it."""
        if act.kind in self.refuse:
            self.refuse.remove(act.kind)
            raise StoreBusyError("log: no space")
        check(act, AT, "test")
        before = self.exhibits.get(act.exhibit)
        chain = Chain() if before is None else Chain(before.n, before.prev)
        composed = compose(act, AT, "test", chain, fresh_salt())
        entry = Entry(len(self.entries), composed.leaf, composed.facts, composed.detail)
        self.entries.append(entry)
        self.exhibits[act.exhibit] = fold(before, entry)
        if act.kind in self.lose:
            self.lose.remove(act.kind)
            raise StoreBusyError("log: died after the commit")
        return await self.recorded(entry.index)

    async def recorded(self, index: int) -> Recorded:
        """An entry and its proof."""
        return Recorded(index, self.entries[index].leaf, f"proof of {index}")

    def by_recording(self, device, recording):
        """Every exhibit of this recording."""
        return [row for row in self.exhibits.values() if (row.device, row.recording) == (device, recording)]

    def exhibit(self, exhibit):
        """One exhibit."""
        return self.exhibits.get(exhibit)

    def disposed_with(self, sha256):
        """Those whose key was destroyed, by content."""
        return [row for row in self.exhibits.values() if row.sha256 == sha256 and row.shredded_at is not None]

    def kinds(self, exhibit=None) -> list[str]:
        """The kinds of acts, in order."""
        return [e.facts["kind"] for e in self.entries if exhibit is None or e.facts["exhibit"] == exhibit]

    def details(self, kind: str) -> list[dict]:
        """The details of acts of a kind."""
        return [e.detail for e in self.entries if e.facts["kind"] == kind]


class FakeKeyring:
    """Secrets in a dict."""

    def __init__(self) -> None:
        self.secrets: dict[str, bytes] = {}

    def put(self, name: str, secret: bytes) -> None:
        """Keep."""
        self.secrets[name] = secret

    def get(self, name: str) -> bytes | None:
        """Give back."""
        return self.secrets.get(name)

    def delete(self, name: str) -> None:
        """Destroy."""
        self.secrets.pop(name, None)


class FakeKeks:
    """Two KEKs."""

    kek_ids = ("kek-6", "kek-7")


class FakePeople:
    """One holder, unless told otherwise."""

    def __init__(self) -> None:
        self.answer = Attribution("P-0014", ("P-0014",))

    def attribute(self, device, start, end):
        """Who held it."""
        return self.answer


class HandClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> Instant:
        """This moment."""
        return Instant(self.seconds, datetime.fromtimestamp(AT.timestamp() + self.seconds, UTC))


class NonceLaw:
    """An AEAD factory that fails the test where one (key, nonce) ever meets two plaintexts."""

    def __init__(self) -> None:
        self.seen: dict[tuple[bytes, bytes], bytes] = {}
        self.broken: list[tuple[bytes, bytes]] = []

    def __call__(self, key: bytes):
        law, inner = self, chacha20poly1305(key)

        class Watched:
            def encrypt(self, nonce, data, associated):
                said = hashlib.sha256(bytes(data) + b"|" + (associated or b"")).digest()
                if law.seen.setdefault((key, nonce), said) != said:
                    law.broken.append((key, nonce))
                return inner.encrypt(nonce, data, associated)

            def decrypt(self, nonce, data, associated):
                return inner.decrypt(nonce, data, associated)

        return Watched()


class FaultyFiles(DiskFiles):
    """Disk operations; `script` fails the n-th call of one, once, before or after it took effect."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail_at: int | None = None
        self.after = False
        self.full = False
        self.free = 1 << 40
        self.error = errno.ENOSPC

    def free_bytes(self, path):
        return self.free

    def _ask(self, name: str, act):
        number = len(self.calls)
        self.calls.append(name)
        fails = number == self.fail_at or (self.full and name == "write")
        if fails and not (self.after and not self.full):
            raise OSError(self.error, f"injected into {name}")
        answer = act()
        if fails:
            raise OSError(self.error, f"injected after {name}")
        return answer

    def create(self, path):
        return self._ask("create", lambda: DiskFiles.create(self, path))

    def write(self, fd, content, at):
        def torn():
            DiskFiles.write(self, fd, content, at)

        if len(self.calls) == self.fail_at and not self.after and len(content) > 1:
            DiskFiles.write(self, fd, bytes(content)[: len(content) // 2], at)  # a failed write may leave half
        return self._ask("write", torn)

    def datasync(self, fd):
        return self._ask("datasync", lambda: DiskFiles.datasync(self, fd))

    def sync_directory(self, path):
        return self._ask("sync_directory", lambda: DiskFiles.sync_directory(self, path))

    def rename(self, source, target):
        return self._ask("rename", lambda: DiskFiles.rename(self, source, target))

    def make_directory(self, path):
        return self._ask("make_directory", lambda: DiskFiles.make_directory(self, path))

    def remove_tree(self, path):
        return self._ask("remove_tree", lambda: DiskFiles.remove_tree(self, path))


def recording_settings(**words) -> RecordingSettings:
    """Settings, those of the limits among the rest."""
    limits = {name: words.pop(name) for name in list(words) if name in Limits.__struct_fields__}
    return RecordingSettings(**words, limits=Limits(**limits))


class Lab:
    """Everything that outlives a restart; `running` is one process lifetime."""

    def __init__(self, root: Path, files: DiskFiles | None = None, **settings) -> None:
        self.root = root / "evidence"
        root.mkdir(parents=True, exist_ok=True)
        self.log, self.keyring, self.people, self.clock = FakeLog(), FakeKeyring(), FakePeople(), HandClock()
        self.files, self.law = files or DiskFiles(), NonceLaw()
        self.settings = recording_settings(**{"reserve_mb": 0, **settings})
        self.rights = None

    def recordings(self) -> Recordings:
        """A sink as a new process would make it."""
        terms = FixedTerms("PCC", "PCC/uncategorised@3", 31)
        needs = Needs(
            self.log, self.log, self.log, self.keyring, FakeKeks(), self.people, terms, self.clock, self.rights
        )
        return Recordings(self.root, needs, self.settings, self.files, self.law or chacha20poly1305)

    @contextlib.asynccontextmanager
    async def running(self):
        """One process lifetime, ended in order."""
        sink = self.recordings()
        await sink.open()
        await sink.waiting.caught_up()
        try:
            yield sink
        finally:
            await sink.close()

    def staged(self) -> list[str]:
        """What lies in staging."""
        return sorted(path.name for path in (self.root / "staging").iterdir())

    def blobs(self) -> list[Path]:
        """Every blob."""
        return sorted((self.root / "blobs").rglob("*.age"))

    def content(self, exhibit) -> bytes:
        """The plaintext of a sealed exhibit."""
        return b"".join(self.recordings().reader.read(exhibit))


def offer(content: bytes | None = None, **words) -> RecordingOffer:
    """An offer of content; nothing is stated where there is none."""
    stated = {} if content is None else {"size": len(content), "checksum": sha(content)}
    words = {"key": KEY, "name": "clip.mp4", "content_type": "video/mp4", "started_at": BEGAN, **stated, **words}
    return RecordingOffer(**words)


def pieces(content: bytes, octets: int, key: RecordingKey = KEY) -> list[Segment]:
    """Content in segments of so many bytes."""
    return [Segment(key, at, content[at : at + octets]) for at in range(0, len(content), octets)]


def fin(content: bytes, key: RecordingKey = KEY, **words) -> RecordingFin:
    """The fin for content."""
    return RecordingFin(**{"key": key, "size": len(content), "sha256": sha(content), **words})


def leaf_of(sealed) -> dict:
    """The leaf that a receipt carries."""
    import base64

    return msgspec.json.decode(base64.b64decode(sealed.receipt["entry"]))
