"""keys.db: kept when it says so, gone when it says so."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.crypto.keys import KeyStore
from gateway.errors import IntegrityError, MisuseError, StoreBusyError
from gateway.store.keyring import Keyring


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    """Loaded keys."""
    store = KeyStore(tmp_path / "keys")
    store.load(create=True)
    return store


@pytest.fixture
def keyring(tmp_path: Path, keys: KeyStore):
    """An open keyring."""
    made = Keyring(tmp_path / "keys.db", keys)
    made.open()
    yield made
    made.close()


def test_put_get_delete(keyring: Keyring) -> None:
    """What was put is there, the last one counts, and what was deleted is not."""
    assert keyring.get("identity/X-1") is None
    keyring.put("identity/X-1", b"one")
    keyring.put("identity/X-1", b"two")
    keyring.put("identity/X-2", b"other")
    assert (keyring.get("identity/X-1"), keyring.get("identity/X-2")) == (b"two", b"other")
    assert (keyring.delete("identity/X-1"), keyring.delete("identity/X-1")) == (True, False)
    assert (keyring.get("identity/X-1"), keyring.get("identity/X-2")) == (None, b"other")


def test_forget(keyring: Keyring, tmp_path: Path) -> None:
    """Several at once; no byte of them is left in the file or its journal; again is no error."""
    for number in range(50):
        keyring.put(f"run/X-1/{number}", bytes([number]) * 32)
    link = sqlite3.connect(keyring.path)
    sealed = [row[0] for row in link.execute("SELECT sealed FROM wrapped ORDER BY name LIMIT 20")]
    names = [row[0] for row in link.execute("SELECT name FROM wrapped ORDER BY name LIMIT 20")]
    link.close()
    assert any(sealed[0] in path.read_bytes() for path in tmp_path.glob("keys.db*"))
    assert (keyring.forget(names), keyring.forget(names), keyring.forget([])) == (True, False, False)
    content = b"".join(path.read_bytes() for path in tmp_path.glob("keys.db*"))
    assert not any(part in content for part in sealed)
    assert len(keyring.names()) == 30


def test_forget_says_what_is_left(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of a destroyed key in the file: it is written anew; while they are there all the same, not called done."""
    keyring.put("identity/X-1", bytes(32))
    link = sqlite3.connect(keyring.path)
    link.execute("CREATE TABLE stale AS SELECT sealed FROM wrapped")
    link.commit()
    link.close()
    monkeypatch.setattr("gateway.store.keyring.SCAN_STEP", 512)
    for _ in range(2):
        with pytest.raises(StoreBusyError, match="still holds bytes"):
            keyring.forget(["identity/X-1"])
    assert keyring.get("identity/X-1") is None
    link = sqlite3.connect(keyring.path)
    link.execute("PRAGMA secure_delete=OFF")
    link.execute("DELETE FROM stale")
    link.commit()
    link.close()
    assert keyring.forget(["identity/X-1"]) is False


def test_names(keyring: Keyring) -> None:
    """By prefix, literally."""
    for name in ("run/X_1/0", "run/X_1/1", "run/XY1/0", "identity/X_1"):
        keyring.put(name, b"s")
    assert keyring.names("run/X_1/") == ["run/X_1/0", "run/X_1/1"]
    assert len(keyring.names()) == 4


def test_the_file_is_that_of_the_document(keyring: Keyring, keys: KeyStore) -> None:
    """One table; the sealed bytes open with the KEK and the name."""
    keyring.put("n", b"secret")
    with sqlite3.connect(keyring.path) as link:
        assert link.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall() == [("wrapped",)]
        ((name, kek, sealed),) = link.execute("SELECT name, kek, sealed FROM wrapped").fetchall()
    link.close()
    assert keys.unwrap(name, kek, sealed) == b"secret"
    assert keyring.path.stat().st_mode & 0o777 == 0o600
    with keyring._opened.connect() as link:
        pragmas = {name: link.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("secure_delete", "synchronous")}
    assert pragmas == {"secure_delete": 1, "synchronous": 2}


def test_what_was_deleted_is_on_no_page(keyring: Keyring) -> None:
    """Its sealed bytes are neither in the file nor in its journal."""
    for number in range(50):
        keyring.put(f"n{number}", bytes(32))
    with sqlite3.connect(keyring.path) as link:
        ((sealed,),) = link.execute("SELECT sealed FROM wrapped WHERE name='n7'").fetchall()
    link.close()
    files = [keyring.path, Path(f"{keyring.path}-wal")]
    assert any(sealed in path.read_bytes() for path in files)
    keyring.delete("n7")
    assert not any(sealed in path.read_bytes() for path in files if path.exists())


def test_a_swapped_row_does_not_open(keyring: Keyring) -> None:
    """The name is sealed in with the secret."""
    keyring.put("a", b"one")
    keyring.put("b", b"two")
    with sqlite3.connect(keyring.path) as link:
        link.execute("UPDATE wrapped SET sealed=(SELECT sealed FROM wrapped WHERE name='b') WHERE name='a'")
    link.close()
    with pytest.raises(IntegrityError):
        keyring.get("a")


def test_rewrap(keyring: Keyring, keys: KeyStore) -> None:
    """After it, nothing needs the old KEK."""
    for number in range(20):
        keyring.put(f"n{number}", b"%d" % number)
    newest = keys.add_kek()
    assert keyring.rewrap() == 20
    (keys.directory / "kek-1.key").unlink()
    keys.load()
    assert keys.kek_ids == (newest,)
    assert [keyring.get(f"n{number}") for number in range(20)] == [b"%d" % number for number in range(20)]


def test_threads_and_processes(keyring: Keyring, keys: KeyStore) -> None:
    """Eight threads and another process write at once; nothing is lost."""
    code = (
        "import sys; from gateway.crypto.keys import KeyStore; from gateway.store.keyring import Keyring\n"
        "k = KeyStore(sys.argv[1]); k.load(); r = Keyring(sys.argv[2], k); r.open()\n"
        "[r.put(f'p{n}', b'x') for n in range(50)]; r.close()"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(keys.directory), str(keyring.path)])
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: keyring.put(f"t{number}", b"x"), range(100)))
    assert other.wait() == 0
    assert len(keyring.names()) == 150


def test_lifecycle(keyring: Keyring) -> None:
    """Idempotent; closed is said."""
    keyring.open()
    keyring.put("n", b"x")
    keyring.close()
    keyring.close()
    with pytest.raises(MisuseError):
        keyring.get("n")
    keyring.open()
    assert keyring.get("n") == b"x"
