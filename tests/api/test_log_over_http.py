"""What others can check over HTTP: proofs with stock tools, the log by tiles, and paths that are none."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path

import httpx
import pytest

from gateway.domain.evidence import Act
from tests.api.site import Site
from tests.api.test_evidence import FILM, film, officer

__all__ = ["film", "officer"]


SCRIPT = Path(__file__).parents[1] / "checkpoint.sh"


def checked(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """The script of stock tools over files."""
    command = [str(SCRIPT), *(str(folder / name) for name in names)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_proof_checked_with_stock_tools(shared_site: Site, film: str, officer: httpx.Client, tmp_path: Path) -> None:
    """Leaf and proof as answered, the key published elsewhere; the leaf names the recording's digest."""
    answer = officer.get(f"/v1/exhibits/{film}/proof").json()
    leaf = base64.b64decode(answer["entry"], validate=True)
    (tmp_path / "leaf").write_bytes(leaf)
    (tmp_path / "proof").write_text(answer["proof"])
    (tmp_path / "vkey").write_bytes((shared_site.data / "evidence" / "log" / "log.vkey").read_bytes())
    done = checked(tmp_path, "vkey", "proof", "leaf")
    assert done.returncode == 0, done.stderr
    assert f"entry {answer['log_index']} " in done.stdout
    assert json.loads(leaf)["sha256"] == hashlib.sha256(FILM).hexdigest()
    assert json.loads(leaf)["exhibit"] == film
    (tmp_path / "leaf").write_bytes(leaf.replace(b'"seal"', b'"play"'))
    assert checked(tmp_path, "vkey", "proof", "leaf").returncode == 3


def test_the_log_over_http(shared_site: Site, film: str, tmp_path: Path) -> None:
    """All entries fetched, all hash tiles fetched: the root made anew is the one that is signed."""
    custody = shared_site.gateway.evidence.records.custody
    shared_site.awaited(custody.record_many([Act("account", "test", detail={"number": n}) for n in range(256)]))
    with shared_site.client(shared_site.token(user="auditor", role="auditor")) as client:
        note = client.get("/v1/log/checkpoint")
        origin, size, root = note.text.split("\n")[:3]
        leaves = entries(client, int(size))
        hashes = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
        assert base64.b64encode(tree(hashes)).decode() == root
        assert tiles(client, 0, int(size)) == hashes
        full = [tree(hashes[at : at + 256]) for at in range(0, len(hashes) // 256 * 256, 256)]
        assert tiles(client, 1, len(full)) == full
        (tmp_path / "vkey").write_text(client.get("/v1/log/vkey").text)
    (tmp_path / "note").write_text(note.text)
    done = checked(tmp_path, "vkey", "note")
    assert (done.returncode, origin) == (0, "lapel.test/log"), done.stderr
    assert note.headers["Content-Type"].startswith("text/plain")
    assert note.headers["Cache-Control"] == "no-store"


def width(number: int, size: int) -> str:
    """A tile's path: whole, or partial with its width."""
    rest = size - number * 256
    return f"{number:03d}" if rest >= 256 else f"{number:03d}.p/{rest}"


def entries(client: httpx.Client, size: int) -> list[bytes]:
    """Every entry, of bundles."""
    found = []
    for number in range((size + 255) // 256):
        raw = client.get(f"/v1/log/tile/entries/{width(number, size)}").content
        while raw:
            length = int.from_bytes(raw[:2], "big")
            found.append(raw[2 : 2 + length])
            raw = raw[2 + length :]
    return found


def tiles(client: httpx.Client, level: int, size: int) -> list[bytes]:
    """Every hash of a level."""
    found = b""
    for number in range((size + 255) // 256):
        response = client.get(f"/v1/log/tile/{level}/{width(number, size)}")
        assert response.headers["Content-Type"] == "application/octet-stream"
        found += response.content
    return [found[at : at + 32] for at in range(0, len(found), 32)]


def tree(hashes: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree(hashes[:split]) + tree(hashes[split:])).digest()


@pytest.mark.parametrize(
    "path",
    [
        *("0/000/..", "0/../../checkpoint", "0/..%2f..%2fcheckpoint", "0/%2e%2e/%2e%2e/checkpoint", "64/000", "-1/000"),
        *(
            "0/0000",
            "0/00",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
            "0/x00/000",
            "0/x000",
            "0/000%00",
            "entries/../0/000",
        ),
        *(
            "entries/..%2f..%2f..%2fkeys%2flog.key",
            "0/999",
            "%d9%a0/000",
            "0/%d9%a0%d9%a0%d9%a0",
            "0/000.p",
            "0/x001/000",
        ),
    ],
)
def test_paths_that_are_no_tile(shared_site: Site, film: str, path: str) -> None:
    """404, whatever they try; nothing outside the tiles is answered."""
    import socket

    with socket.create_connection(("127.0.0.1", shared_site.gateway.api_port)) as raw:
        token = shared_site.token()
        head = f"GET /v1/log/tile/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        raw.sendall(f"{head}Connection: close\r\n\r\n".encode())
        answer = b""
        while piece := raw.recv(65_536):
            answer += piece
    assert answer.split(b" ", 2)[1] == b"404", answer
    assert b"PRIVATE" not in answer
    assert b"lapel.test" not in answer
