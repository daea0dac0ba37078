"""A restore older than what a witness saw: the successor verifies, names what is missing, and survives any crash."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gateway.crypto.notes import parse_note, parse_vkey, sign_note
from gateway.domain.evidence import Act
from gateway.errors import ConfigError, IntegrityError
from gateway.evidence import succession
from gateway.evidence.details import Details
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.generations import generation_of, origin_at, successor_of
from gateway.evidence.log.witnessed import Halt, halt
from gateway.evidence.log.writer import LogWriter
from gateway.evidence.succession import Begun, Nobody, finish, former_of, former_without_key, interrupted, succeed
from gateway.evidence.verify.store import verify_log, verify_store
from gateway.evidence.verify.trust import trust
from tests.evidence.log.lab import ORIGIN, CrashError, FaultyDisk, FixedClock, Lab, act

YESTERDAY, TODAY = 300, 310


def made(folder: Path, entries: int) -> Path:
    """Yesterday's store, and in `witnessed` the checkpoint that today's had."""
    lab = Lab(folder / "store")
    with lab.opened() as log:
        log._ask([act(number, f"X-{number % 7}") for number in range(entries)]).result()
    lab.close()
    shutil.copytree(folder / "store", folder / "today")
    today = Lab(folder / "today")
    with today.opened() as log:
        log._ask([act(number) for number in range(TODAY - YESTERDAY)]).result()
        (folder / "witnessed").write_text(log.checkpoint_text)
    today.close()
    return folder


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of more than a tile."""
    return made(tmp_path_factory.mktemp("pattern"), YESTERDAY)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of four entries."""
    return made(tmp_path_factory.mktemp("small"), 4)


class Recovery:
    """A restored store, ours to work on."""

    def __init__(self, pattern: Path, folder: Path) -> None:
        shutil.copytree(pattern / "store", folder)
        self.lab = Lab(folder)
        self.evidence = self.lab.evidence
        self.witnessed = (pattern / "witnessed").read_text()

    def begin(self, disk: Disk | None = None, unproven: int | None = None) -> Begun:
        """What `lapel log recover` does between opening and closing the databases."""
        old = parse_vkey((self.evidence / "log/log.vkey").read_text().strip()).name
        writer = LogWriter(self.evidence / "log", old, self.lab.keystore.log_signer, disk or Disk())
        details = Details(self.evidence / "details", self.lab.keyring, Disk())
        with writer.locked():
            former = former_of(writer, "" if unproven else self.witnessed, unproven)
            wanted = (Act("successor", "cli:test", detail={"reason": "restored"}), FixedClock(), "0.1.0+test")
            return succeed(
                self.evidence, self.lab.keystore.log_signer, (details, self.lab.catalogue.clear), wanted, former
            )

    def entries(self) -> list[dict[str, object]]:
        """Open, record one act more, close; everything from outside."""
        log = self.lab.log(origin=origin_at(self.evidence, ORIGIN))
        log.open_now()
        log.record_now(act(1, "X-1"))
        log.close_now()
        return self.lab.check()


@pytest.fixture
def restored(pattern: Path, tmp_path: Path) -> Recovery:
    """Yesterday's store in today's place."""
    return Recovery(pattern, tmp_path / "restored")


def test_the_successor_names_what_is_missing_and_verifies(restored: Recovery) -> None:
    """Entry 0 has it all; every surviving entry follows byte for byte; chains, details and catalogue hold."""
    before = restored.lab.leaves()
    begun = restored.begin()
    assert (begun.origin, begun.former) == (f"{ORIGIN}/g2", ORIGIN)
    assert (begun.surviving, begun.missing) == (YESTERDAY, ((YESTERDAY, TODAY),))
    told = restored.entries()
    assert restored.lab.leaves()[1 : YESTERDAY + 1] == before
    former = told[0]["former"]
    assert isinstance(former, dict)
    assert former["missing"] == [[YESTERDAY, TODAY]]
    assert former["witnessed"] == restored.witnessed
    report = verify_log(restored.evidence, ORIGIN)
    assert report.ok, report.findings
    assert f"succeeds {ORIGIN}: its 300 surviving entries are entries 1 to 300; missing: 300 to 309" in report.notes
    report = verify_store(restored.evidence, restored.lab.directory / "keys", origin=ORIGIN)
    assert report.ok, report.findings
    assert (restored.evidence / "former/1/halted").exists()


def test_a_successor_may_be_succeeded(restored: Recovery) -> None:
    """The next generation names the one before."""
    restored.begin()
    restored.entries()
    begun = restored.begin(unproven=999)
    assert (begun.origin, begun.missing) == (f"{ORIGIN}/g3", ((YESTERDAY + 2, 999),))
    restored.entries()
    assert verify_log(restored.evidence, ORIGIN).ok
    assert {path.name for path in (restored.evidence / "former").iterdir()} == {"1", "2"}


def test_a_log_that_agrees_is_not_succeeded(pattern: Path, restored: Recovery) -> None:
    """Nothing contradicts it: refused, nothing changed."""
    restored.witnessed = (restored.evidence / "log/checkpoint").read_text()
    with pytest.raises(ConfigError, match="agrees"):
        restored.begin()
    restored.witnessed = restored.witnessed.replace("\n300\n", "\n301\n")
    with pytest.raises(ConfigError, match="not one of this log"):
        restored.begin()
    assert not (restored.evidence / "log.next").exists()
    assert len(restored.entries()) == YESTERDAY + 1


def test_a_forked_log_is_succeeded_too(pattern: Path, restored: Recovery) -> None:
    """The gateway went on before the witness was heard: more entries than witnessed, of another history."""
    with restored.lab.opened() as log:
        log._ask([act(number) for number in range(20)]).result()
    begun = restored.begin()
    assert (begun.surviving, begun.missing) == (YESTERDAY + 20, ((0, TODAY),))
    restored.entries()
    assert verify_log(restored.evidence, ORIGIN).ok


@pytest.mark.parametrize("keep", [False, True])
def test_crash_at_every_step(small: Path, tmp_path: Path, keep: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it stops: the old log signs nothing, and calling it again ends with one successor that verifies."""
    at, done = 0, False
    while not done:
        recovery = Recovery(small, tmp_path / f"{keep}-{at}")
        halt(recovery.evidence / "log", Halt("rolled back", "w", recovery.witnessed), Disk())
        disk = FaultyDisk(at, keep=keep)
        with monkeypatch.context() as patched:
            patched.setattr(succession, "Disk", lambda disk=disk: disk)
            try:
                recovery.begin()
                done = True
            except CrashError:
                pass
        if not done:
            with pytest.raises(IntegrityError):
                log = recovery.lab.log()
                log.open_now()
            stopped = interrupted(recovery.evidence)
            if stopped is not None:
                assert stopped == ORIGIN
                finish(recovery.evidence, stopped, Disk())
            elif origin_at(recovery.evidence, ORIGIN) == ORIGIN:
                recovery.begin()
        told = recovery.entries()
        assert [leaf["kind"] for leaf in told].count("successor") == 1
        assert len(told) == 6
        assert verify_log(recovery.evidence, ORIGIN).ok
        recovery.lab.close()
        at += 1
    assert at > 10


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("missing", [[301, 310]]),
        ("missing", []),
        ("surviving", None),
        ("origin", "else.test/log"),
        ("witnessed", "nonsense"),
        ("agreed", -1),
    ],
)
def test_a_false_entry_is_found(
    restored: Recovery, place: str, change: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever entry 0 says that the log itself does not bear out is a finding."""
    said = succession.Former.facts.fget  # type: ignore[attr-defined]

    def false(former: succession.Former) -> dict[str, object]:
        facts = said(former)
        facts["former"][place] = change
        return dict(facts)

    monkeypatch.setattr(succession.Former, "facts", property(false))
    restored.begin()
    report = verify_log(restored.evidence, ORIGIN)
    assert [finding.path.split(" former")[0] for finding in report.findings] == ["log entry 0"]


def test_a_successor_without_its_first_entry_is_found(tmp_path: Path) -> None:
    """An origin of a later generation on a log that names none before it."""
    lab = Lab(tmp_path / "store")
    log = lab.log(origin=f"{ORIGIN}/g2")
    log.open_now()
    log.record_now(act(0))
    log.close_now()
    report = verify_log(lab.evidence, ORIGIN)
    assert [finding.path for finding in report.findings] == ["log entry 0"]
    lab.close()


def test_generations() -> None:
    """Origins count from g2; what only looks like one is a first."""
    assert generation_of("a.test/log") == ("a.test/log", 1)
    assert generation_of("a.test/log/g2") == ("a.test/log", 2)
    assert generation_of("a.test/g1") == ("a.test/g1", 1)
    assert successor_of("a.test/log/g9") == "a.test/log/g10"
    assert successor_of("a.test/log") == "a.test/log/g2"


def test_origin_at(tmp_path: Path) -> None:
    """The origin that lies there counts only where it is of the configured log."""
    (tmp_path / "log").mkdir()
    assert origin_at(tmp_path, "a.test/log") == "a.test/log"
    (tmp_path / "log/log.vkey").write_text("a.test/log/g3+00000000+AAAA\n")
    assert origin_at(tmp_path, "a.test/log") == "a.test/log/g3"
    assert origin_at(tmp_path, "b.test/log") == "b.test/log"


def test_the_entry_is_canonical_json(restored: Recovery) -> None:
    """Entry 0 is a leaf like any other, with a detail of its own."""
    restored.begin()
    restored.entries()
    leaf = restored.lab.leaves()[0]
    facts = json.loads(leaf)
    assert (facts["kind"], facts["v"], "exhibit" in facts, "actor" in facts) == ("successor", 1, False, False)
    log = restored.lab.log(origin=f"{ORIGIN}/g2")
    log.open_now()
    detail = log.detail(0)
    log.close_now()
    assert detail is not None
    assert (detail[0]["reason"], detail[0]["actor"]) == ("restored", "cli:test")


def test_a_lost_key(restored: Recovery) -> None:
    """The log is whole but nobody can sign it: a successor under a new key, which no old signature leads to."""
    keys = restored.lab.directory / "keys"
    old = parse_vkey((restored.evidence / "log/log.vkey").read_text().strip())
    (keys / "log.key").unlink()
    writer = LogWriter(restored.evidence / "log", ORIGIN, Nobody(old.public), Disk())
    wanted = (Act("successor", "cli:test", detail={"reason": "key lost"}), FixedClock(), "0.1.0+test")
    details = Details(restored.evidence / "details", restored.lab.keyring, Disk())
    with writer.locked():
        found = former_without_key(writer)
        fresh = restored.lab.keystore.log_keys.fresh()
        begun = succeed(restored.evidence, fresh, (details, restored.lab.catalogue.clear), wanted, found)
    assert (begun.origin, begun.surviving, begun.missing) == (f"{ORIGIN}/g2", YESTERDAY, ())
    assert len(restored.entries()) == YESTERDAY + 2
    report = verify_store(restored.evidence, keys, origin=ORIGIN)
    assert report.ok, report.findings
    assert any("missing: nothing" in note for note in report.notes)
    pinned = verify_log(restored.evidence, ORIGIN, trust(str(old), ()))
    assert [each.path for each in pinned.findings] == ["log/log.vkey"]


def test_a_store_from_before_a_rotation(pattern: Path, tmp_path: Path) -> None:
    """What a witness saw is signed by a key that the restored log does not know; the keys directory does."""
    restored = Recovery(pattern, tmp_path / "restored")
    key = restored.lab.keystore.log_keys.fresh()
    text = parse_note(restored.witnessed.encode()).text
    restored.witnessed = sign_note(text, ORIGIN, key)
    begun = restored.begin()
    assert parse_vkey(begun.vkey).public == key.public
    told = restored.entries()[0]["former"]
    assert isinstance(told, dict)
    assert parse_vkey(told["witnessed_vkey"]).public == key.public
    report = verify_log(restored.evidence, ORIGIN)
    assert report.ok, report.findings
