"""The demonstration's witness: `lapel log witness` as a process of its own, with a key and a memory of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from gateway.cli.log_witness import key_of, load
from gateway.crypto.cosignatures import WitnessKey
from gateway.crypto.keys import KeyStore
from gateway.crypto.notes import VerifierKey
from gateway.errors import LinkError
from gateway.evidence.log.generations import origin_at
from gateway.evidence.log.known_keys import KnownKeys

NAME = "witness.demo.lapel.invalid/w1"
OPERATOR = "IG"
READY_S = 20.0


class DemoWitness:
    """Written, started, told to the gateway, ended."""

    def __init__(self, root: Path, origin: str, port: int) -> None:
        self._root, self._origin, self._port = root, origin, port
        self._process: asyncio.subprocess.Process | None = None

    async def open(self) -> None:
        """Pin the store's log (its key is made where there is none yet) and start; LinkError when it does not."""
        keys = KeyStore(self._root / "keys")
        keys.load(create=True)
        evidence = self._root / "evidence"
        known = KnownKeys(evidence / "log", VerifierKey(origin_at(evidence, self._origin), keys.log_signer.public))
        known.reload()
        vkey = str(known.current)
        lines = [f"name = {json.dumps(NAME)}", f"port = {self._port}", "[[log]]"]
        lines += [f"origin = {json.dumps(vkey.split('+', maxsplit=1)[0])}", f"vkey = [{json.dumps(vkey)}]", ""]
        self._config.parent.mkdir(mode=0o700, exist_ok=True)
        self._config.write_text("\n".join(lines), "utf-8")
        with (self._root / "witness.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "log", "witness", "-c", str(self._config), "--with-parent"),
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: the witness ends last
            )
        await self._listens()

    def section(self) -> dict[str, Any]:
        """How the gateway's configuration names it."""
        settings = load(self._config)
        vkey = str(WitnessKey(NAME, key_of(settings).public))
        return {"name": "demo", "operator": OPERATOR, "url": f"http://127.0.0.1:{self._port}", "vkey": vkey}

    async def close(self) -> None:
        """End it."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    @property
    def _config(self) -> Path:
        return self._root / "witness" / "witness.toml"

    async def _listens(self) -> None:
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_S):
                while self._process.returncode is None:
                    try:
                        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                    except OSError:
                        await asyncio.sleep(0.05)
                    else:
                        writer.close()
                        return
        raise LinkError(f"the witness did not start; see {self._root / 'witness.log'}")
