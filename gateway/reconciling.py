"""The daily reconciliation: a process of its own, at its hour, of the lowest priority; its report on record and kept.

It goes over the whole log, which in this process would take memory and turns of the loop that emergencies need.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import structlog

from gateway.errors import GatewayError
from gateway.evidence.custody import CustodyLog
from gateway.evidence.reconciled import Account, act, keep, last
from gateway.ports import Clock

ACTOR = "system"
LOOK_S = 20.0
AGAIN_S = 600.0
LONGEST_S = 12 * 3600.0
ANSWER_MAX = 1 << 28
STATES = ("missing", "stale", "surplus", "differs", "unread")
_log = structlog.get_logger()


class Where(msgspec.Struct, frozen=True):
    """The store and its keys, and when: `HH:MM` UTC, empty for never."""

    data: Path
    keys: Path
    at: str
    copies: tuple[Path, ...] = ()

    @property
    def evidence(self) -> Path:
        """The evidence directory."""
        return self.data / "evidence"


class Reconciling:
    """`run` until cancelled; `read` gives the last report, also over a restart."""

    def __init__(self, where: Where, custody: CustodyLog, clock: Clock) -> None:
        """Nothing happens before `run`."""
        self._where, self._custody, self._clock = where, custody, clock
        self._tried: datetime | None = None
        self.failures = 0

    def read(self) -> Account | None:
        """The last report, whoever made it; read anew, since a command may have made one. Blocks."""
        return last(self._where.evidence)

    @property
    def condition(self) -> str:
        """`degraded` while something is missing, or while nobody could say."""
        return "degraded" if self.failures or (self._known is not None and not self._known.ok) else "ok"

    _known: Account | None = None

    def counts(self) -> dict[str, float]:
        """Figures for the metrics: what the last reconciliation named, by state; when it was (0: never)."""
        known = self._known
        if known is None:
            return {"ok": 0, "at": 0, "failures": self.failures}
        named: dict[str, float] = {state: sum(item.state == state for item in known.items) for state in STATES}
        for name in ("exhibits", "sealed", "incomplete", "held", "disposed", "blobs_wanted", "blobs_found", "bytes"):
            named[name] = known.counts.get(name, 0)
        return {"ok": int(known.ok), "at": known.at.timestamp(), "failures": self.failures, **named}

    async def run(self) -> None:
        """Reconcile once a day; one that fell due while nobody was there is made up for."""
        while True:
            self._known = await asyncio.to_thread(self.read)
            try:
                if self._is_due():
                    await self.once()
            except (GatewayError, OSError, TimeoutError) as wrong:
                self.failures += 1
                _log.error("not_reconciled", problem=str(wrong) or type(wrong).__name__)
            except Exception:  # noqa: BLE001 - a defect here must not take ingest along: loud, and tried again
                self.failures += 1
                _log.exception("not_reconciled")
            await asyncio.sleep(LOOK_S)

    def _is_due(self) -> bool:
        now = self._clock.now().utc
        if not self._where.at or (self._tried is not None and (now - self._tried).total_seconds() < AGAIN_S):
            return False
        since = self._made_at() if self._known is None else self._known.at
        return since is not None and since < latest(self._where.at, now)

    def _made_at(self) -> datetime | None:
        """When the log was begun: a store that was never reconciled is so at the first hour after that."""
        try:
            return datetime.fromtimestamp((self._where.evidence / "log" / "log.vkey").stat().st_mtime, UTC)
        except OSError:
            return None

    async def once(self) -> Account:
        """Reconcile now; what was found is on record, kept and, where something is missing, alarm."""
        self._tried = self._clock.now().utc
        made = await self._asked()
        recorded = await self._custody.record(act(made, ACTOR))
        made = msgspec.structs.replace(made, log_index=recorded.index)
        await asyncio.to_thread(keep, self._where.evidence, made)
        self._known, self.failures = made, 0
        if made.ok:
            _log.info("reconciled", exhibits=made.counts.get("exhibits", 0), log_index=recorded.index)
        else:
            named = [f"{item.state} {item.name}" for item in made.items[:20]]
            _log.critical("evidence_missing", faults=made.faults, unread=made.unread, named=named)
        return made

    async def _asked(self) -> Account:
        """The command's own answer."""
        where = ["--data", str(self._where.data), "--keys", str(self._where.keys)]
        where += [word for place in self._where.copies for word in ("--copy", str(place))]
        command = ("-m", "gateway", "evidence", "reconcile", *where, "--json", "--no-record", "--idle")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=ANSWER_MAX,
        )
        try:
            async with asyncio.timeout(LONGEST_S):
                said, problem = await process.communicate()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        try:
            return msgspec.json.decode(said, type=Account)
        except msgspec.DecodeError as wrong:
            told = problem.decode("utf-8", "replace").strip()[-500:]
            raise GatewayError(f"the reconciliation ended with {process.returncode}: {told or wrong}") from wrong


def latest(at: str, now: datetime) -> datetime:
    """The newest moment, now or before, at which it is `HH:MM` UTC."""
    hour, minute = map(int, at.split(":"))
    today = now.astimezone(UTC).replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)
