"""A monitor put together: looks at each log in turn, remembers, keeps what is against a log, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from gateway.domain.time import rfc3339
from gateway.errors import LinkError, VerificationError
from gateway.evidence.log.disk import Disk
from gateway.evidence.monitor.look import CATALOGUE, Alarm, Look, Memory, Seen, Witnesses, compare
from gateway.evidence.monitor.proofs import Proofs
from gateway.evidence.verify.catalogue import applied_size
from gateway.evidence.verify.notes import Vkey
from gateway.evidence.verify.report import UnreadError
from gateway.evidence.verify.sqlite import rows, snapshot
from gateway.outlets.log_tiles import DirectoryLog, HttpLog
from gateway.ports import Clock
from gateway.store.monitor_state import MonitorState

_log = structlog.get_logger()
Hook = Callable[[Mapping[str, object]], None]


class Watched(msgspec.Struct, frozen=True):
    """One log: a name for it, its pinned keys, its witnesses, where it is read; the catalogue where that is near."""

    name: str
    keys: tuple[Vkey, ...]
    witnesses: Witnesses
    source: HttpLog | DirectoryLog
    catalogue: Path | None = None


class _Items:
    """The items of one log."""

    def __init__(self, state: MonitorState, name: str) -> None:
        self._state, self._name = state, name
        self.item = lambda exhibit: self._state.item(self._name, exhibit)


class Monitor:
    """Looks at logs; every alarm is said once when it begins and once when it is over."""

    def __init__(self, state: Path, clock: Clock, hook: Hook, disk: Disk | None = None) -> None:
        self._state = MonitorState(state / "monitor.db")
        self._proofs = Proofs(state, disk or Disk())
        self._clock, self._hook = clock, hook
        self._standing: dict[str, dict[str, Alarm]] = {}
        self.figures: dict[str, dict[str, float]] = {}

    def open(self) -> None:
        """Open what is remembered."""
        self._state.open()

    def close(self) -> None:
        """Close; idempotent."""
        self._state.close()

    async def look(self, watched: Watched) -> list[Alarm]:
        """One look at one log: what stands against it now, what was kept of earlier included."""
        now = self._clock.now().utc
        known = await asyncio.to_thread(self._state.memory, watched.name)
        look = Look(watched.keys, watched.witnesses, watched.source, (known, _Items(self._state, watched.name)))
        try:
            seen = await look.run(now.timestamp())
        except LinkError as problem:
            seen = Seen(known, alarms=[Alarm("unreachable", str(problem), integrity=False)])
        await asyncio.to_thread(self._tell_rotations, watched.name, seen)
        await asyncio.to_thread(self._state.keep, watched.name, seen.memory, seen.items)
        if watched.catalogue is not None and seen.memory.frontier.size:
            seen.alarms += await asyncio.to_thread(self._compared, watched, seen.memory)
        await asyncio.to_thread(self._keep, watched.name, seen, known, now)
        return await asyncio.to_thread(self._tell, watched.name, seen)

    def _tell_rotations(self, name: str, seen: Seen) -> None:
        """Before it is remembered: a change of key that nobody was told of would never be told."""
        for each in seen.rotated:
            old, new = str(each.old), str(each.new)
            _log.critical(
                "log_key_rotated", log=name, entry=each.size, old=old, new=new, do="compare with what is published"
            )
            problem = f"entry {each.size}: {old} signed over to {new}"
            told = {"kind": "key_rotated", "problem": problem, "integrity": False}
            self._hook({"v": 1, "log": name, "alarm": "once", **told})

    def _compared(self, watched: Watched, memory: Memory) -> list[Alarm]:
        """The catalogue where it is of the very size that was looked at: one that moved on is compared next time."""
        assert watched.catalogue is not None
        try:
            with snapshot(watched.catalogue, "evidence.db") as copy:
                if applied_size(copy) != memory.frontier.size:
                    return []
                found = {str(row["id"]): row for row in rows(copy, "exhibit", ("id", "n", "prev"), "evidence.db")}
        except UnreadError as problem:
            return [Alarm("catalogue_unread", str(problem), integrity=False)]
        except VerificationError as problem:
            return [Alarm(CATALOGUE, str(problem))]
        return compare(self._state.items(watched.name), found)

    def _keep(self, name: str, seen: Seen, known: Memory, now: datetime) -> None:
        for alarm in seen.alarms:
            if alarm.integrity:
                self._proofs.keep(name, alarm, known, seen.shown, rfc3339(now))

    def _tell(self, name: str, seen: Seen) -> list[Alarm]:
        kept = self._proofs.count(name)
        alarms = list(seen.alarms)
        if kept and not any(alarm.integrity for alarm in alarms):
            alarms.append(Alarm("kept", f"{kept} earlier alarms stand: see its files"))
        now = {f"{alarm.kind} {alarm.problem}": alarm for alarm in alarms}
        before = self._standing.get(name, {})
        for mark, alarm in now.items():
            if mark not in before:
                say = _log.critical if alarm.integrity else _log.error
                say("log_alarm", log=name, kind=alarm.kind, problem=alarm.problem)
                self._hook({"v": 1, "log": name, "alarm": "begins", **msgspec.to_builtins(alarm)})
        for mark in before.keys() - now.keys():
            _log.warning("log_alarm_over", log=name, kind=before[mark].kind, problem=before[mark].problem)
            self._hook({"v": 1, "log": name, "alarm": "over", **msgspec.to_builtins(before[mark])})
        self._standing[name] = now
        self.figures[name] = _figures(seen, alarms, kept, self._clock.now().utc.timestamp())
        return alarms


def _figures(seen: Seen, alarms: list[Alarm], kept: int, now_s: float) -> dict[str, float]:
    return {
        "entries": seen.memory.frontier.size,
        "cosigned": seen.memory.cosigned,
        "alarms": len(alarms),
        "integrity_alarms": sum(alarm.integrity for alarm in alarms),
        "kept": kept,
        "rotations": len(seen.memory.rotations),
        "looked_at_s": now_s,
    }
