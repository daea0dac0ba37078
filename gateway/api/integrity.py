"""Integrity of an exhibit as four verdicts, and the last reconciliation, over HTTP. Neither is a viewing."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.api.evidence import one_exhibit
from gateway.api.problem import ProblemError
from gateway.api.rooms import evidence_of
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.evidence.integrity import Integrity, integrity
from gateway.evidence.reconciled import Account

ROUTES = Routes()
FOUR = Answer("File, log, time-stamp, device signature, each by itself", shape=Integrity)


@ROUTES.add("GET /v1/exhibits/{exhibit}/integrity", "evidence:read", FOUR)
async def verdicts(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the four verdicts on one exhibit, and how to check each oneself."""
    row, room = await one_exhibit(call), evidence_of(call.rooms)
    checked = None if room.scrubs is None else await asyncio.to_thread(room.scrubs.verdict, row.id)
    return as_json(await asyncio.to_thread(integrity, row, room.custody, checked, room.witnesses))


@ROUTES.add(
    "GET /v1/evidence/reconciliation", "evidence:reconciliation", Answer("The last reconciliation", shape=Account)
)
async def reconciliation(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the last reconciliation: how many there are of everything, and each thing that is not there."""
    made = await asyncio.to_thread(evidence_of(call.rooms).reconciled)
    if made is None:
        raise ProblemError(404, "nobody has reconciled this store yet: lapel evidence reconcile")
    return as_json(made)
