"""The witness's HTTP side: a server of its own, whose only authority is the signature on a checkpoint."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web

from gateway.errors import ConfigError, EvidenceError
from gateway.evidence.log.witness import Witness
from gateway.ports import WitnessAnswer

BODY_BYTES_MAX = 1 << 17
CLOSE_PATIENCE_S = 3.0
_log = structlog.get_logger()


class WitnessServer:
    """Listens, answers, closes."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._runner: web.AppRunner | None = None

    def application(self) -> web.Application:
        """`POST /add-checkpoint`, `GET /<log id>/checkpoint`, `GET /vkey`, `GET /live`."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_post("/add-checkpoint", self._add)
        app.router.add_get("/{log:[0-9a-f]{64}}/checkpoint", self._latest)
        app.router.add_get("/vkey", self._vkey)
        app.router.add_get("/live", self._live)
        return app

    async def open(self, host: str, port: int) -> int:
        """Listen; return the port (for port 0). ConfigError when it cannot."""
        self._runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=CLOSE_PATIENCE_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as wrong:
            await self.close()
            raise ConfigError("port", f"cannot listen on {host}:{port}: {wrong.strerror}") from wrong
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def _add(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            answer = await asyncio.to_thread(self._witness.add, body)
        except (OSError, EvidenceError) as problem:
            # Nothing was cosigned: what could not be kept, or is not what was kept, is never answered for.
            _log.critical("witness_state_failed", problem=str(problem))
            answer = WitnessAnswer(503, b"the state cannot be written or read\n")
        return _response(answer)

    async def _latest(self, request: web.Request) -> web.Response:
        note = await asyncio.to_thread(self._witness.latest, request.match_info["log"])
        if note is None:
            return _response(WitnessAnswer(404, b"nothing cosigned of that log\n"))
        return _response(WitnessAnswer(200, note.encode()))

    async def _vkey(self, _request: web.Request) -> web.Response:
        return _response(WitnessAnswer(200, f"{self._witness.key}\n".encode()))

    async def _live(self, _request: web.Request) -> web.Response:
        return _response(WitnessAnswer(200, b"ok\n"))


def _response(answer: WitnessAnswer) -> web.Response:
    charset = "utf-8" if answer.media == "text/plain" else None
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return web.Response(
        status=answer.status, body=answer.body, content_type=answer.media, charset=charset, headers=headers
    )
