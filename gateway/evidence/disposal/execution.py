"""Carrying a disposal out, step by step; each may be done again, so that any turn goes on where an earlier one stopped.

key_destroy in the log (the commit) → keys, then files, at every place → details erased where that was asked →
dispose in the log, with the certificate (docs/formats.md, "disposal").
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from typing import get_args

import msgspec
import structlog

from gateway.crypto.canonical import parse_canonical
from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.errors import EvidenceError, OverruledError
from gateway.evidence.disposal.certificate import Reached, certificate
from gateway.evidence.disposal.desk import Desk
from gateway.evidence.disposal.record import Disposal, Part, State
from gateway.evidence.disposal.working import Working
from gateway.evidence.purge import Place, Secrets, StorePlace, file_names, key_names
from gateway.evidence.rows import Exhibit

ACTOR = "system"
_log = structlog.get_logger()


class Progress(msgspec.Struct, frozen=True):
    """Being disposed of: so many of so many places have forgotten it; what the rest said."""

    done: int
    of: int
    problem: str | None = None


class Execution:
    """Carries out what is approved and whose grace is over. Blocks; one turn at a time."""

    def __init__(
        self,
        desk: Desk,
        store: StorePlace,
        keyring: Secrets,
        copies: Callable[[], Sequence[Place]] = tuple,
        key_backups: Callable[[], Sequence[Place]] = tuple,
        working: Working | None = None,
    ) -> None:
        """Name the places, asked for anew each time; working: what was made of exhibits and waits to be fetched.

        A disposal waits for every copy; a backup of wrapped keys that does not answer is named on the certificate.
        """
        self._desk, self._store, self._keyring = desk, store, keyring
        self._copies, self._key_backups, self._working = copies, key_backups, working
        self._turns = threading.Lock()
        self.progress: dict[str, Progress] = {}
        self.counters = {"destroyed": 0, "disposed": 0, "ended_by_hold": 0, "came_back": 0}

    def turn(self, without: frozenset[str] = frozenset()) -> None:
        """Go on with everything that can go on now; `without` are places given up for good, by name.

        What fails is logged and tried again at the next turn; it never holds up the other disposals.
        """
        with self._turns:
            for one in self._desk.all():
                try:
                    self._go_on(one, without)
                except Exception as problem:  # noqa: BLE001 - one that can't go on must not hold up the others
                    self._stuck(one, problem)

    def sweep(self) -> int:
        """Destroy what came back of exhibits disposed of (a restore of an older backup does that); how much."""
        found = 0
        with self._turns:
            names = set(self._keyring.names("identity/")) | set(self._keyring.names("run/"))
            keyed = {name.split("/")[1] for name in names}
            for row in self._desk.shelf.shredded():
                back = [name for name in file_names(row) if row.disposed_at and self._store.has_file(name)]
                details = self._details_left(row)
                if row.id not in keyed and not back and not details:
                    continue
                _log.error(
                    "disposed_exhibit_came_back", exhibit=row.id, keys=row.id in keyed, files=back, details=len(details)
                )
                for name in key_names(row.id, self._keyring):
                    found += self._store.forget_key(name)
                found += sum(self._store.forget_file(name) for name in back)
                for index in details:
                    self._desk.log.erase_detail(index)
                found += len(details)
        self.counters["came_back"] += found
        return found

    def _details_left(self, row: Exhibit) -> list[int]:
        """Entries whose details its disposal erased, and that have one: a copy that took over had not come so far."""
        log, chain = self._desk.log, self._desk.shelf.custody(row.id)
        ended = next((entry.log_index for entry in chain if entry.kind == "dispose"), None)
        if ended is None or parse_canonical(log.leaf(ended)).get("details") != "erased":
            return []
        before = [entry.log_index for entry in chain if entry.log_index < ended and entry.kind != "key_destroy"]
        return [index for index in before if log.detail(index) is not None]

    def _go_on(self, one: Disposal, without: frozenset[str]) -> None:
        state = one.state(self._desk.now)
        if state == "ready":
            state = self._destroy(one)
        if state != "under_way":
            return
        for part in list(self._desk.one(one.id).parts.values()):
            if part.disposed_at is None:
                self._forget(one, part, without)

    def _destroy(self, one: Disposal) -> State:
        """The commit: one batch for all exhibits, refused by the log where a hold stands at that very moment."""
        try:
            self._desk.check_whole(one)
            self._desk.log.record_many_now([self._key_destroy(one, part.exhibit) for part in one.parts.values()])
        except OverruledError as problem:
            # Another process was first, it was cancelled, or somebody's hold was: then a new request is needed.
            if self._desk.one(one.id).state(self._desk.now) == "ready":
                self._desk.cancel(one.id, ACTOR, f"overruled: {problem}")
                self.counters["ended_by_hold"] += 1
                _log.warning("disposal_overruled", disposal=one.id, problem=str(problem))
        else:
            self.counters["destroyed"] += len(one.parts)
        return self._desk.one(one.id).state(self._desk.now)

    def _key_destroy(self, one: Disposal, exhibit: str) -> Act:
        names = key_names(exhibit, self._keyring)
        facts = {
            "disposal": one.id,
            "ground": one.ground,
            "keys": hashlib.sha256("\n".join(names).encode()).hexdigest(),
        }
        approver = None if one.approved is None else one.approved.by
        who = {"requester": one.requested.by, "approver": approver}
        detail = {**who, "keys": names, "places": [place.name for place in self._places()]}
        return Act("key_destroy", ACTOR, ExhibitId(exhibit), facts, detail)

    def _forget(self, one: Disposal, part: Part, without: frozenset[str]) -> None:
        """Keys, then files, at each place; one that fails does not hold up the others, but nothing ends without it."""
        row = self._desk.shelf.exhibit(part.exhibit)
        if row is None:
            return
        names = sorted({*part.detail.get("keys", []), *key_names(row.id, self._keyring)})
        here = {place.name: place for place in self._places()}
        wanted = [*here, *(name for name in part.detail.get("places", []) if name not in here)]
        done, problems = [], []
        for name in wanted:
            try:
                _forgotten(here.get(name), name, names, row)
                done.append(name)
            except (EvidenceError, OSError) as problem:
                problems.append((name, f"{name}: {problem}"))
        owed = [problem for name, problem in problems if name not in without] + self._let_go(row, erase=one.erase)
        now = Progress(len(done), len(wanted), "; ".join(owed) or None)
        if owed and self.progress.get(row.id) != now:
            _log.warning("disposal_waits", disposal=one.id, exhibit=row.id, done=now.done, of=now.of, problem=owed[0])
        self.progress[row.id] = now
        if owed:
            return
        for file in file_names(row):  # a check may have taken it back from a copy that had not forgotten it yet
            self._store.forget_file(file)
        given_up = tuple(name for name, _ in problems)
        self._end(one, part, row, Reached(tuple(done), given_up, self._backups_left(names), self._exports(row)))

    def _let_go(self, row: Exhibit, *, erase: bool) -> list[str]:
        """Exports that hold it in clear, and the like; what that waits for."""
        try:
            if self._working is not None:
                self._working.let_go(row.id, erase=erase)
        except (EvidenceError, OSError) as problem:
            return [str(problem)]
        return []

    def _places(self) -> tuple[Place, ...]:
        return (self._store, *self._copies())

    def _backups_left(self, names: Sequence[str]) -> tuple[str, ...]:
        """Take the keys out of every backup of wrapped keys; those that do not answer.

        keys.db itself is rid of them by now: a backup that is made meanwhile has none, or is on the list already.
        """
        left = []
        for place in self._key_backups():
            try:
                for name in names:
                    place.forget_key(name)
            except (EvidenceError, OSError) as problem:
                _log.warning("key_backup_not_reached", place=place.name, problem=str(problem))
                left.append(place.name)
        return tuple(left)

    def _end(self, one: Disposal, part: Part, row: Exhibit, reached: Reached) -> None:
        facts = {
            "disposal": one.id,
            "blob": row.blob,
            "copies_removed": len(reached.places),
            "copies_of": reached.wanted,
        }
        facts["details"] = "erased" if one.erase else "kept"
        detail = {"certificate": certificate(one, part, row, reached)}
        if one.erase:
            facts["erased_to"] = self._erase(row)
        # Where an entry came between (somebody looked), the log refuses: the next turn erases that one too.
        self._desk.log.record_many_now([Act("dispose", ACTOR, ExhibitId(row.id), facts, detail)])
        self.progress.pop(row.id, None)
        self.counters["disposed"] += 1
        if one.erase and not self._desk.shelf.cut_journal():
            _log.warning("catalogue_journal_kept", disposal=one.id)  # until the next checkpoint of it

    def _erase(self, row: Exhibit) -> int:
        """Every detail of its chain but the destruction's own, which says who asked; the n up to which that holds."""
        chain = self._desk.shelf.custody(row.id)
        for entry in chain:
            if entry.kind != "key_destroy":
                self._desk.log.erase_detail(entry.log_index)
        return chain[-1].n or 0

    def _exports(self, row: Exhibit) -> tuple[str, ...]:
        """Exports that it went out with: copies that nobody here can reach."""
        return tuple(
            f"log entry {each.log_index}" for each in self._desk.shelf.custody(row.id) if each.kind == "export"
        )

    def _stuck(self, one: Disposal, problem: Exception) -> None:
        _log.error("disposal_stuck", disposal=one.id, problem=str(problem))
        for part in one.parts.values():
            if part.key_destroyed_at is not None and part.disposed_at is None:
                before = self.progress.get(part.exhibit, Progress(0, len(self._places())))
                self.progress[part.exhibit] = msgspec.structs.replace(before, problem=str(problem))

    def figures(self) -> dict[str, int]:
        """How many are due, wait, are in grace, under way, stuck; for the metrics."""
        counted: dict[str, int] = dict.fromkeys(get_args(State), 0)
        for one in self._desk.all():
            counted[one.state(self._desk.now)] += 1
        stuck = sum(each.problem is not None for each in self.progress.values())
        return {**counted, "due": self._desk.count_due(), "stuck": stuck, **self.counters}


def _forgotten(place: Place | None, name: str, keys: Sequence[str], row: Exhibit) -> None:
    if place is None:
        raise EvidenceError(f"{name} is no longer among the copies: put it back, or give it up by name")
    for key in keys:
        place.forget_key(key)
    for file in file_names(row):
        place.forget_file(file)
