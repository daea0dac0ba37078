"""The log over HTTP, read whole by Go's sumdb packages: ours is not the only code that understands it.

LAPEL_LOG_ENTRIES sets how many entries (70000 for the long one).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.crypto.cosignatures import WitnessKey, cosign
from gateway.crypto.keys import LogSigner
from gateway.crypto.notes import parse_note, parse_vkey
from gateway.domain.evidence import Act
from gateway.evidence.log.checkpoint import Checkpoint
from gateway.evidence.log.rotation import follow
from tests.api.site import Site
from tests.interop_go import build

ENTRIES = int(os.environ.get("LAPEL_LOG_ENTRIES", "1200"))
BATCH = 1000
SIGNER = LogSigner(Ed25519PrivateKey.from_private_bytes(b"w" * 32))


class Log:
    """A served log, a few of its older checkpoints, and Go's verdict on it."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.folder = site, folder
        self.program = build(folder)
        self.custody = site.gateway.evidence.records.custody  # type: ignore[union-attr]
        self.token = site.token()
        self.olds: list[Path] = []
        while self.custody.size < ENTRIES:
            self._grow(min(BATCH - 3 * len(self.olds), ENTRIES - self.custody.size))

    def _grow(self, count: int) -> None:
        acts = [Act("browse", "P-1", detail={"listed": number}) for number in range(count)]
        self.site.awaited(self.custody.record_many(acts))
        old = self.folder / f"old-{len(self.olds)}"
        old.write_text(self.custody.checkpoint_text)
        self.olds = [*self.olds, old][-60:]

    def read(self, *words: object, vkey: str | None = None) -> subprocess.CompletedProcess[str]:
        """What Go says."""
        command = [self.program, f"{self.site.url}/v1/log", self.token, vkey or self.custody.vkey, *words]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=170)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """One log for all tests here."""
    with Site(tmp_path_factory.mktemp("go")) as site:
        yield Log(site, tmp_path_factory.mktemp("reader"))


def test_the_whole_log(log: Log) -> None:
    """Root from the entries, every tile, inclusion, and consistency with every older checkpoint."""
    done = log.read(*(word for old in log.olds for word in ("-old", old)))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{log.custody.size} entries" in done.stdout
    assert f"{len(log.olds)} older checkpoints" in done.stdout


def test_a_changed_entry_or_tile_is_seen(log: Log) -> None:
    """The reader can fail: one byte of a bundle, of a leaf tile, of an upper tile."""
    tiles = log.custody.directory / "log/tile"
    number, width = divmod(log.custody.size >> 8, 256)  # the newest tile of the level above, full or partial
    upper = tiles / (f"1/{number:03d}.p/{width}" if width else f"1/{number - 1:03d}")
    for path in (tiles / "entries/000", tiles / "0/000", upper):
        whole = path.read_bytes()
        path.write_bytes(bytes([*whole[:20], whole[20] ^ 1, *whole[21:]]))
        assert log.read().returncode == 1
        path.write_bytes(whole)
    assert log.read().returncode == 0


def test_another_key_or_history_is_seen(log: Log, tmp_path: Path) -> None:
    """Not this log's key; an older checkpoint that is of no beginning of it."""
    name, _, _ = log.custody.vkey.partition("+")
    assert log.read(vkey=f"{name}+00000000+{log.custody.vkey.split('+', 2)[2]}").returncode == 1
    other = tmp_path / "other"
    other.write_text(Checkpoint(name, 100, b"x" * 32).sign(log.site.gateway.evidence.records.keystore.log_signer))  # type: ignore[union-attr]
    done = log.read("-old", other)
    assert (done.returncode, "no beginning" in done.stderr) == (1, True)


def test_a_cosignature_as_go_computes_it(log: Log) -> None:
    """The served checkpoint with a cosignature: Go finds it right; asked for another, it refuses."""
    path = log.custody.directory / "log/checkpoint"
    note = path.read_text()
    line = cosign(parse_note(note.encode()).text, "w.test/1", SIGNER, 1_700_000_000)
    path.write_text(note + line)
    try:
        done = log.read("-witness", WitnessKey("w.test/1", SIGNER.public))
        assert (done.returncode, done.stderr) == (0, "")
        assert "1 witnesses" in done.stdout
        assert log.read("-witness", WitnessKey("w.test/2", SIGNER.public)).returncode == 1
    finally:
        path.write_text(note)


def test_tiles_that_are_not_published(log: Log) -> None:
    """A tile that the checkpoint does not cover is not answered, though it lies there: it may be taken back."""
    size = log.custody.size
    tiles = log.custody.directory / "log/tile"
    number, width = divmod(size, 256)
    stray = tiles / f"0/{number:03d}.p/{width + 1}"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(bytes(32 * (width + 1)))
    with httpx.Client(base_url=log.site.url, headers={"Authorization": f"Bearer {log.token}"}) as client:
        assert client.get(f"/v1/log/tile/0/{number:03d}.p/{width + 1}").status_code == 404
        assert client.get(f"/v1/log/tile/0/{number:03d}").status_code == 404
        assert client.get("/v1/log/tile/5/000").status_code == 404
        answer = client.get("/v1/log/tile/entries/000", headers={"Accept-Encoding": "gzip"})
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.content == (tiles / "entries/000").read_bytes()
        assert "immutable" in answer.headers["Cache-Control"]
        assert client.get("/v1/log/checkpoint").headers["Cache-Control"] == "no-store"
    stray.unlink()


def test_the_log_after_its_key_was_rotated(log: Log) -> None:
    """With the new verifier key Go reads it all, under the checkpoint that bears both signatures and the next one."""
    old = log.custody.vkey
    keys = log.site.gateway.evidence.records.keystore.log_keys  # type: ignore[union-attr]
    log.custody.rotate_now(Act("key_rotate", "cli:test", detail={"reason": "yearly"}), keys.fresh())
    for vkey in (old, log.custody.vkey):
        done = log.read(vkey=vkey)
        assert (done.returncode, done.stderr) == (0, "")
    log._grow(3)
    assert log.read().returncode == 0
    done = log.read(vkey=old)
    assert done.returncode == 1
    with httpx.Client(base_url=log.site.url, headers={"Authorization": f"Bearer {log.token}"}) as client:
        assert client.get("/v1/log/vkey").text == f"{log.custody.vkey}\n"
        (line,) = client.get("/v1/log/rotations").text.splitlines()
        assert str(follow([json.loads(line)["note"]], parse_vkey(old))) == log.custody.vkey
