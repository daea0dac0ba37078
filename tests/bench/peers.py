"""What uploads are compared with: a plain copy with SHA-256 and fsync, and a tus server that writes durably."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.site import free_port, listens
from tests.foreign.node import packages

MIB = 1 << 20
TUS = {"Tus-Resumable": "1.0.0"}


def plain_copy(source: Path, target: Path) -> float:
    """Seconds to read, hash, write and fsync the same bytes."""
    began_s = time.perf_counter()
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while piece := reading.read(MIB):
            digest.update(piece)
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())
    return time.perf_counter() - began_s


@contextlib.contextmanager
def tus_server(folder: Path) -> Iterator[int]:
    """The peer on a port of its own; OSError where node or npm is missing."""
    port, store = free_port(), folder / "tus"
    store.mkdir()
    script = Path(__file__).with_name("tus_server.mjs")
    environment = {**os.environ, "LAPEL_NODE": str(packages())}
    child = subprocess.Popen(["node", str(script), str(port), str(store)], env=environment)
    try:
        listens(port)
        yield port
    finally:
        child.terminate()
        child.wait(10)


def tus_upload(port: int, content: memoryview, segment: int) -> float:
    """Seconds for one upload by a raw client, one PATCH a segment over one connection."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    line.connect()
    began_s = time.perf_counter()
    line.request("POST", "/files", headers={**TUS, "Upload-Length": str(len(content))})
    answer = line.getresponse()
    answer.read()
    assert answer.status == 201, answer.status
    place = "/files/" + answer.headers["Location"].rpartition("/")[2]
    for offset in range(0, len(content), segment):
        headers = {**TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        line.request("PATCH", place, body=content[offset : offset + segment], headers=headers)
        answer = line.getresponse()
        answer.read()
        assert answer.status == 204, answer.status
    took_s = time.perf_counter() - began_s
    line.close()
    return took_s
