"""`lapel doctor`, TAK servers: does each let us connect, and is its certificate what we expect."""

from __future__ import annotations

import asyncio

from gateway.cli.doctor_words import Finding
from gateway.errors import LinkError
from gateway.outlets.cot_link import connect
from gateway.outlets.cot_settings import CotSettings
from gateway.settings import Settings

LISTEN_S = 0.5
"""How long a server gets to say that it does not want us."""


def look(settings: Settings) -> list[Finding]:
    """One finding a server; nothing is sent."""
    return [_server(server) for server in settings.cot]


def _server(server: CotSettings) -> Finding:
    about = f"cot {server.name}"
    where = f"{server.host}:{server.port}"
    try:
        asyncio.run(_try(server))
    except LinkError as wrong:
        do = "See that the server runs and lets us in; correct host, port, tls, ca, cert, key or server_name."
        return Finding(about, "wrong", f"{where}: {wrong}", do)
    if not server.tls:
        do = "Set tls, ca, cert and key, unless the wire between is yours alone."
        return Finding(about, "note", f"{where} is there; what it is told goes in clear", do)
    return Finding(about, "fine", f"{where} is there, with a certificate that we accept")


async def _try(server: CotSettings) -> None:
    reader, writer = await connect(server)
    try:
        async with asyncio.timeout(LISTEN_S):
            hung_up = not await reader.read(1)
    except TimeoutError:
        return
    except OSError as wrong:  # TLS 1.3 tells only now that our certificate is refused
        raise LinkError(str(wrong) or type(wrong).__name__) from wrong
    finally:
        writer.transport.abort()
    if hung_up:
        raise LinkError("it hangs up at once")
