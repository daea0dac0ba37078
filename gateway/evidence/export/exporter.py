"""One export from order to bag, step by step; each step is durable before the next, and can be gone on from.

The act comes first: what leaves is on record before it can be read, and each exhibit's custody in the bag ends with
that very entry, so that nobody can leave out the last ones.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from gateway.crypto.canonical import parse_canonical
from gateway.crypto.cms import Signature, token_of
from gateway.crypto.timestamp_query import timestamp_query
from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.domain.time import from_rfc3339, rfc3339
from gateway.errors import IntegrityError, LinkError
from gateway.evidence.export import papers
from gateway.evidence.export.chains import custody_csv, links
from gateway.evidence.export.letter import write_letter
from gateway.evidence.export.masters import master_name, write_master
from gateway.evidence.export.order import Needs, Order, OrderError, Progress, Step
from gateway.evidence.export.stage import Journal, Stage
from gateway.evidence.rows import Exhibit

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LETTER_SUFFIX = ".tar.age"
NONCE_BITS = 127
Check = Callable[[Path], None]
"""Judges a finished bag by code that did not write it; raises where it would not verify."""


class Exported(msgspec.Struct, frozen=True):
    """A finished export: its id, where it lies, its exhibits, log entries, and the digest of its tagmanifest."""

    export: str
    path: str
    exhibits: tuple[str, ...]
    entries: int
    tagmanifest_sha256: str


class Exporter:
    """Makes one bag (or one encrypted letter). `run` again with the same order goes on after a crash.

    name is the export's id where it has one already; else it gets one.
    """

    def __init__(self, needs: Needs, order: Order, target: Path, check: Check, name: str | None = None) -> None:
        self._needs, self._order, self._check, self._id = needs, order, check, name
        self._written = self._of = 0
        self._stage = Stage(result_of(order, target), needs.files)
        self._folder_name = target.name
        self._journal: Journal

    async def run(self) -> Exported:
        """Export; OrderError before anything is recorded, IntegrityError where the store is not what was sealed."""
        self._order.check()
        with self._stage.taking_turns():
            await asyncio.to_thread(self._begin)
            if not self._journal.named:
                await self._make()
            return await asyncio.to_thread(self._finish)

    def _begin(self) -> None:
        found = self._stage.read()
        if self._stage.target.exists() and (found is None or not found.named):
            if found is None:
                self._needs.files.remove_tree(self._stage.folder)
            raise OrderError(f"{self._stage.target} is there already")
        if found is None:
            try:
                for each in self._order.exhibits:
                    self._exhibit(each)
            except OrderError:
                self._needs.files.remove_tree(self._stage.folder)
                raise
        begun = self._needs.now()
        self._journal = self._stage.begin(Journal(self._id or export_id(begun), self._order, rfc3339(begun)))

    async def _make(self) -> None:
        await self._record()
        if self._journal.note is None:
            self._journal.note = await self._needs.cosigned(max(await asyncio.to_thread(self._own_entries)))
            await asyncio.to_thread(self._stage.keep, self._journal)
        self._of = sum(self._exhibit(each).size or 0 for each in self._order.exhibits)
        for each in self._order.exhibits:
            await asyncio.to_thread(self._fill, self._exhibit(each))
        signature = await asyncio.to_thread(self._seal)
        if self._needs.stamps is not None:
            self._tell("time_stamp")
            await self._stamp(signature)
        self._tell("checking")
        await asyncio.to_thread(self._close)

    async def _record(self) -> None:
        """The act, once: in one batch for all exhibits; where a crash hid the answer, it is found in the log."""
        if self._journal.upto:
            return
        upto = await asyncio.to_thread(self._recorded)
        if not upto:
            await self._needs.log.record_many([self._act(each) for each in self._order.exhibits])
            upto = await asyncio.to_thread(self._recorded)
        if upto.keys() != set(self._order.exhibits):
            raise IntegrityError(f"export {self._journal.export} is on record for {len(upto)} of its exhibits")
        self._journal.upto = upto
        await asyncio.to_thread(self._stage.keep, self._journal)

    def _act(self, exhibit: str) -> Act:
        order = self._order
        detail = {
            "purpose": order.purpose,
            "recipient": order.recipient,
            "legal_gateway": order.legal_gateway,
            "exhibits": list(order.exhibits),
            "to_age": order.to_age,
        }
        facts = {"export": self._journal.export}
        return Act("export", order.actor, ExhibitId(exhibit), facts=facts, detail=detail)

    def _recorded(self) -> dict[str, int]:
        """Where each exhibit's own entry of this export lies in its chain, as far as there is one."""
        found = {}
        for each in self._order.exhibits:
            for entry in self._needs.shelf.custody(each):
                facts = parse_canonical(self._needs.log.leaf(entry.log_index)) if entry.kind == "export" else {}
                if facts.get("export") == self._journal.export and entry.n is not None:
                    found[each] = entry.n
        return found

    def _own_entries(self) -> list[int]:
        """Log indexes of this export's own entries."""
        return [self._needs.shelf.custody(each)[n - 1].log_index for each, n in self._journal.upto.items()]

    def _exhibit(self, exhibit: str) -> Exhibit:
        row = self._needs.shelf.exhibit(exhibit)
        if row is None:
            raise OrderError(f"{exhibit}: there is no such exhibit")
        if row.gone:
            raise OrderError(f"{exhibit}: it was disposed of")
        if row.blob is None or row.size is None:
            raise OrderError(f"{exhibit}: it is not sealed")
        return row

    def _fill(self, exhibit: Exhibit) -> None:
        """`data/<exhibit>/`: the master unless it is there, then the papers."""
        stage, journal, folder = self._stage, self._journal, f"data/{exhibit.id}"
        if exhibit.id in journal.masters:
            self._wrote(exhibit.size or 0)
        else:
            path = stage.place(f"{folder}/{master_name(exhibit)}")
            journal.masters[exhibit.id] = write_master(self._needs, exhibit, path, self._wrote)
            stage.sync()
            stage.keep(journal)
        entries = self._needs.shelf.custody(exhibit.id)[: journal.upto[exhibit.id]]
        chain = links(self._needs.log, entries, journal.note or "")
        stage.write(f"{folder}/custody.jsonl", b"".join(link.line() for link in chain))
        stage.write(f"{folder}/custody.csv", custody_csv(chain))
        manifest = papers.exhibit_manifest(exhibit, chain, journal, self._needs.published)
        stage.write(f"{folder}/manifest.json", manifest)

    def _seal(self) -> Signature:
        """The papers at the top, both manifests, the signature."""
        needs, journal, stage = self._needs, self._journal, self._stage
        payload = self._payload()
        octets = sum((stage.bag / name).stat().st_size for name in payload)
        tags = {
            "bagit.txt": papers.BAGIT,
            "bag-info.txt": papers.bag_info(needs, journal, octets, len(payload)),
            "manifest-sha256.txt": papers.digest_lines(payload),
            "fault-record.json": self._faults(),
            "VERIFY.md": papers.verify_text(journal, needs.published),
            **papers.trust_files(journal, needs.published),
        }
        for name, content in tags.items():
            stage.write(name, content)
        tagmanifest = papers.digest_lines({name: hashlib.sha256(content).hexdigest() for name, content in tags.items()})
        stage.write("tagmanifest-sha256.txt", tagmanifest)
        signature = needs.signer.signature(tagmanifest, needs.now())
        stage.write(papers.SIGNATURE, signature.der())
        return signature

    def _payload(self) -> dict[str, str]:
        """Digests of everything below data/: the masters as they were written, the papers as they lie there."""
        found = {}
        for each in self._order.exhibits:
            row, folder = self._exhibit(each), f"data/{each}"
            found[f"{folder}/{master_name(row)}"] = self._journal.masters[each]
            for name in ("custody.jsonl", "custody.csv", "manifest.json"):
                content = (self._stage.bag / folder / name).read_bytes()
                found[f"{folder}/{name}"] = hashlib.sha256(content).hexdigest()
        return found

    def _faults(self) -> bytes:
        """From the beginning of the oldest recording to this export."""
        rows = [self._exhibit(each) for each in self._order.exhibits]
        begun = from_rfc3339(self._journal.begun_at)
        moments: list[datetime] = [at for row in rows for at in (row.started_at, row.received_at) if at is not None]
        return papers.printed(self._needs.faults(min([*moments, begun]), begun))

    async def _stamp(self, signature: Signature) -> None:
        """A time on the signature's value, into the signature (CAdES-T); then one on the signature's whole file."""
        within = await self._reply(signature.signature)
        try:
            whole = signature.der(token_of(within))
        except ValueError as wrong:
            raise LinkError(f"the authority's answer: {wrong}") from wrong
        await asyncio.to_thread(self._stage.write, papers.SIGNATURE, whole)
        await asyncio.to_thread(self._stage.write, papers.TOKEN, await self._reply(whole))

    async def _reply(self, content: bytes) -> bytes:
        assert self._needs.stamps is not None, "asked for only where there is one"
        return await self._needs.stamps.stamp(timestamp_query(content, secrets.randbits(NONCE_BITS) | 1))

    def _close(self) -> None:
        """Judged by the verifier before it has a name; then the letter, where one is wanted."""
        self._stage.sync()
        self._check(self._stage.bag)
        if self._order.to_age is not None:
            self._tell("encrypting")
            write_letter(self._needs.files, self._stage.bag, self._folder_name, self._made, self._order.to_age)
        self._journal.named = True
        self._stage.keep(self._journal)

    def _tell(self, step: Step) -> None:
        self._needs.told(Progress(step, self._written, self._of))

    def _wrote(self, octets: int) -> None:
        """So much more of the masters is in the bag."""
        self._written += octets
        self._tell("writing")

    @property
    def _made(self) -> Path:
        """What gets the final name."""
        return self._stage.bag if self._order.to_age is None else self._stage.folder / "letter"

    def _finish(self) -> Exported:
        """Everything is whole: name it, then take the staged folder away."""
        lying = self._stage.bag if self._stage.bag.exists() else self._stage.target
        digest = hashlib.sha256((lying / "tagmanifest-sha256.txt").read_bytes()).hexdigest() if lying.is_dir() else ""
        self._stage.finish(self._made, self._stage.target)
        journal = self._journal
        entries = sum(journal.upto.values())
        return Exported(journal.export, str(self._stage.target), self._order.exhibits, entries, digest)


def result_of(order: Order, target: Path) -> Path:
    """Where the result of an order lies: the folder, or the letter beside where it would be."""
    return target.with_name(target.name + LETTER_SUFFIX) if order.to_age is not None else target


def export_id(at: datetime) -> str:
    """A new export's id: `E-`, seven letters of time in seconds, five at random (Crockford base32)."""
    number = (int(at.timestamp()) << 25 | secrets.randbits(25)) & ((1 << 60) - 1)
    return "E-" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(55, -1, -5))
