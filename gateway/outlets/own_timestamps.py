"""The embedded time-stamping authority: `openssl ts -reply` with a key of our own. Its time is our word alone."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from pathlib import Path

from gateway.crypto.export_keys import stamping_pair
from gateway.errors import LinkError

PATIENCE_S = 30.0
POLICY = "2.25.227058530961243904158927193471962714177"
_CONFIG = f"""[tsa]
default_tsa = own
[own]
serial = serial
signer_digest = sha256
default_policy = {POLICY}
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class OwnTimestamps:
    """Answers RFC 3161 queries with `tsa.key` and `tsa.crt` of the keys directory (`gateway.ports.Timestamps`)."""

    def __init__(self, keys: Path) -> None:
        self._keys = keys

    async def stamp(self, query: bytes) -> bytes:
        """Answer a query; LinkError where openssl is missing or refuses."""
        with tempfile.TemporaryDirectory(prefix="lapel-tsa-") as place:
            room = Path(place)
            await asyncio.to_thread(_prepare, room, query)
            await self._reply(room)
            return await asyncio.to_thread((room / "reply").read_bytes)

    async def _reply(self, room: Path) -> None:
        words = ["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply"]
        key, certificate = await asyncio.to_thread(stamping_pair, self._keys)
        words += ["-inkey", str(key.resolve()), "-signer", str(certificate.resolve())]
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                "openssl", *words, cwd=room, stdin=nothing, stdout=nothing, stderr=pipe
            )
        except OSError as problem:
            raise LinkError(f"openssl: {problem.strerror}") from problem
        try:
            async with asyncio.timeout(PATIENCE_S):
                _, said = await process.communicate()
        except TimeoutError as late:
            process.kill()
            await process.wait()
            raise LinkError(f"openssl ts: no answer within {PATIENCE_S} s") from late
        if process.returncode != 0:
            raise LinkError(f"openssl ts: {said.decode(errors='replace').strip()[-300:]}")


def _prepare(room: Path, query: bytes) -> None:
    """Its configuration, the query, and a serial number that nobody has used (openssl adds one to it)."""
    (room / "tsa.cnf").write_text(_CONFIG)
    (room / "serial").write_text(f"{secrets.randbits(120) | 1 << 120:032X}\n")
    (room / "query").write_bytes(query)
