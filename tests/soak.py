"""`make soak`: the long counts, part by part, with a dated record in docs/soak.md.

Each part's length comes from the environment, 0 leaves it out, so that it can be run in parts:
LAPEL_KILLS (200), LAPEL_INJECTIONS (24), LAPEL_BIG_MB (4096), LAPEL_FAIR_S (20), LAPEL_CUTS (50),
LAPEL_FLIPS (1000000: every byte), LAPEL_EXAMPLES (20000), LAPEL_RADIO_FAULTS (1000),
LAPEL_STEP_STRIDE and LAPEL_DISPOSAL_STRIDE (1: every step), LAPEL_LOG_ENTRIES (70000), LAPEL_HISTORY_KILLS (30),
LAPEL_BACKUPS (40), LAPEL_EMERGENCIES (1), LAPEL_REBUILD_EXHIBITS (10000), LAPEL_FUZZ_S (600),
LAPEL_COPY_KILLS (30), LAPEL_DEMO_S (600), LAPEL_ACTS (300), LAPEL_API_EXAMPLES (100), LAPEL_SCALE_S (180);
LAPEL_SEED varies the moments.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "docs" / "soak.md"
HEAD = """# Soak: the long counts

Written by `make soak` (tests/soak.py says how to run a part alone), newest last. What each part shows:

- **kill -9**: gateway, broker and camera, real processes each, are killed at random moments of an upload, recovery
  and seal included, and restarted at once. Each recording is sealed exactly once, byte for byte (opened with the
  stock `age`); no range told durable is asked for again; `lapel evidence verify --all` and `lapel log verify` hold.
- **power cuts**: the data directory lies on a loop-mounted ext4; only what had reached the block device
  survives. All that was told durable or receipted is there. The negative control takes the gateway's syncs
  away and must be caught. Not emulated: a drive that loses what it was not told to flush.
- **failed system calls**: strace lets writes, syncs, renames of the running gateway fail; every recording is sealed
  once with the right hash, and the store verifies.
- **large recording**: in order and with its segments shuffled; the gateway's resident memory never exceeds 300 MB.
- **hostile cameras**: inits, aborts, tiny segments, overlaps, islands and wrong digests without end from one camera;
  how soon another's segments are durable, without and beside it.
- **flipped bytes**: one byte of one file of an export is another; the steps that are printed in it, stock tools alone,
  notice each. Bytes of the time-stamp's token that nothing covers leave imprint, time, serial and signature alone.
- **properties**: the Hypothesis tests of tests/properties with that many examples each.
- **radio faults**: a terminal as a process of its own on a pseudo-terminal breaks off, garbles, reboots, is
  unplugged and answers late; every short data that was read is an event once, no answer pairs with another's command.
- **disposal**: every single step of destroying a key, removing files, erasing details and recording it fails once
  (crash or refusal, kept or lost) or the power goes; the store verifies before and after the next start, which ends it.
- **every step**: each step of appending, sealing, exporting, recovering and of changing a key fails once (crash, power
  cut, failed and lost, failed but kept); the store verifies, what was told is there, the log has one head.
- **whole log**: Go's sumdb packages read a log of that many entries over HTTP: root, every tile, older checkpoints.
- **position history**: the gateway's history is killed while hours are rooted; every file is in one root.
- **backups**: each step of a backup and of a restore interrupted, backups beside uploads, some of them killed.
- **emergencies**: presses from unknown radios under a flood of positions, databases locked, nobody on the
  roster, the disk full: on the feed within 100 ms (99th percentile), on record once there is room.
- **custody acts**: any run of categorisations, holds, reviews, rule changes and disposals of two people at two desks;
  the catalogue is the rebuilt one, the verifier agrees, holds are as a model has them.
- **rebuild**: the catalogue of that many exhibits, with acts of every kind in any order, made anew and compared row
  by row; reconciliation beside cameras that upload names nothing.
- **fuzz**: `python -m tests.fuzz`, guided by coverage, the time shared among the parsers of radio, camera and beacon.
- **second places**: the gateway is killed while copies are made, the second disk cut from power while it is written,
  each file operation of a turn failed once; the copy verifies each time, and takes over when the first store is gone.
- **API**: schemathesis, that many requests of its own for every operation of `/openapi.json`, finds no violation.
- **scale**: 100,000 units and 20,000 fixes a second from within, zones, history on disk, five consumers: nothing
  queues up, nothing is dropped, memory does not grow by more than a twentieth.
- **demonstration**: `lapel demo` for that long; `lost` must be 0 and the store must verify.
"""

LENGTHS = (
    "LAPEL_KILLS",
    "LAPEL_CUTS",
    "LAPEL_INJECTIONS",
    "LAPEL_BIG_MB",
    "LAPEL_FAIR_S",
    "LAPEL_FLIPS",
    "LAPEL_EXAMPLES",
    "LAPEL_RADIO_FAULTS",
    "LAPEL_STEP_STRIDE",
    "LAPEL_DISPOSAL_STRIDE",
    "LAPEL_LOG_ENTRIES",
    "LAPEL_HISTORY_KILLS",
    "LAPEL_BACKUPS",
    "LAPEL_EMERGENCIES",
    "LAPEL_FUZZ_S",
    "LAPEL_DEMO_S",
    "LAPEL_COPY_KILLS",
    "LAPEL_ACTS",
    "LAPEL_API_EXAMPLES",
    "LAPEL_SCALE_S",
    "LAPEL_REBUILD_EXHIBITS",
)
Figures = list[dict[str, Any]]


@dataclass
class Outcome:
    """What became of one part."""

    name: str
    asked: str
    passed: bool
    seconds: float
    figures: Figures = field(default_factory=list)
    last_words: str = ""

    @property
    def verdict(self) -> str:
        """One word for a person."""
        return "passed" if self.passed else "FAILED"


def count(name: str, default: int) -> int:
    """A part's length."""
    return int(os.environ.get(name, default))


def tests(name: str, asked: str, paths: list[str], **environment: int) -> Outcome:
    """Run pytest on these paths; what the tests noted comes back as figures."""
    with tempfile.TemporaryDirectory(prefix="lapel-soak-") as folder:
        noted = Path(folder) / "figures.jsonl"
        told = {key: str(value) for key, value in environment.items()}
        outside = {key: value for key, value in os.environ.items() if key not in LENGTHS}  # 0 is "not at all" to us
        began_s = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "--tb=short", "-rs", f"--basetemp={folder}/pytest", *paths],
            cwd=ROOT,
            env={**outside, **told, "LAPEL_FIGURES": str(noted)},
            capture_output=True,
            text=True,
        )
        seconds = time.monotonic() - began_s
        figures = (
            [json.loads(line) for line in noted.read_text().replace(f"{folder}/", "").splitlines()]
            if noted.exists()
            else []
        )
    said = done.stdout.strip().splitlines()[-1:] if done.returncode == 0 else [done.stdout[-4000:], done.stderr[-2000:]]
    passed = done.returncode == 0 and "skipped" not in said[0]
    return Outcome(name, asked, passed, seconds, figures, "\n".join(said))


def kills(number: int) -> Outcome:
    """SIGKILL at so many moments."""
    return tests("kill -9", f"{number} kills", ["tests/faults/test_kill9.py"], LAPEL_KILLS=number)


def cuts(number: int) -> Outcome:
    """So many power cuts, and the negative control."""
    return tests("power cuts", f"{number} cuts + control", ["tests/faults/test_power_cut.py"], LAPEL_CUTS=number)


def injections(number: int) -> Outcome:
    """So many system calls of the real process that fail once."""
    paths = ["tests/faults/test_injected_syscalls.py"]
    return tests("failed system calls", f"{number} by strace", paths, LAPEL_INJECTIONS=number)


def large(megabytes: int) -> Outcome:
    """A recording larger than memory, in order and shuffled."""
    paths = ["tests/faults/test_large_recording.py"]
    return tests("large recording", f"{megabytes} MB, twice", paths, LAPEL_BIG_MB=megabytes)


def fairness(seconds: int) -> Outcome:
    """Each kind of hostile camera for so long beside an honest one."""
    paths = ["tests/faults/test_fairness.py", "--timeout=3600"]
    return tests("hostile cameras", f"{seconds} s each", paths, LAPEL_FAIR_S=seconds)


def flips(number: int) -> Outcome:
    """So many flipped bytes in each file of an export."""
    paths = ["tests/cli/test_export_flips.py", "--timeout=0"]
    return tests("flipped bytes", f"{number} a file", paths, LAPEL_FLIPS=number)


def properties(number: int) -> Outcome:
    """Every property with so many examples."""
    paths = ["tests/properties", "--timeout=0"]
    return tests("properties", f"{number} examples each", paths, LAPEL_EXAMPLES=number)


def every_step(stride: int) -> Outcome:
    """Each so-manieth step of whatever changes the store, in each way of failing."""
    paths = [f"tests/faults/test_every_step_{what}.py" for what in ("seal", "export", "rotate")]
    paths += [f"tests/evidence/log/test_{what}.py" for what in ("faults", "power", "rotation", "witness")]
    paths += ["tests/faults/test_staging_syscalls.py", "tests/cli/test_export_faults.py"]
    paths += ["tests/evidence/work/test_crash.py", "tests/evidence/derived", "tests/evidence/test_succession.py"]
    lengths = {"LAPEL_STEP_STRIDE": stride, "LAPEL_CRASH_EVERY": stride, "LAPEL_CRASH_STEP": stride}
    return tests("every step", f"every step / {stride}", [*paths, "--timeout=3600"], **lengths)


def whole_logs(entries: int) -> Outcome:
    """So many entries, read by somebody else's code."""
    paths = ["tests/api/test_go_reader.py", "--timeout=3600"]
    return tests("whole log", f"{entries} entries", paths, LAPEL_LOG_ENTRIES=entries)


def histories(number: int) -> Outcome:
    """So many kills while the position history is written and rooted."""
    paths = ["tests/faults/test_history_kill.py", "--timeout=3600"]
    return tests("position history", f"{number} kills", paths, LAPEL_HISTORY_KILLS=number)


def disposals(stride: int) -> Outcome:
    """Each so-manieth step of a disposal fails, kept or lost, or the power goes."""
    paths = ["tests/evidence/disposal/test_faults.py", "--timeout=3600"]
    return tests("disposal", f"every step / {stride}", paths, LAPEL_DISPOSAL_STRIDE=stride)


def acts(number: int) -> Outcome:
    """So many runs of custody acts against a rebuilt catalogue and the verifier."""
    paths = ["tests/evidence/work/test_machine.py", "--timeout=0"]
    return tests("custody acts", f"{number} runs", paths, LAPEL_ACTS=number)


def rebuilds(number: int) -> Outcome:
    """The catalogue made anew at scale, and reconciliation beside a gateway at work."""
    paths = ["tests/test_rebuilding.py", "tests/evidence/verify/test_reconcile_live.py", "--timeout=3600"]
    some = max(24, number // 20)
    lengths = {"LAPEL_REBUILD_EXAMPLES": some, "LAPEL_RECONCILE_RECORDINGS": some, "LAPEL_REBUILD_EXHIBITS": number}
    return tests("rebuild", f"{number} exhibits", paths, **lengths)


def api(number: int) -> Outcome:
    """So many requests for every operation of the API, found by somebody else's program."""
    return tests("API", f"{number} requests", ["tests/foreign/test_openapi.py"], LAPEL_API_EXAMPLES=number)


def radio_faults(number: int) -> Outcome:
    """So many faults of a terminal in one run."""
    paths = ["tests/faults/test_radio_faults.py", "--timeout=3600"]
    return tests("radio faults", f"{number} faults", paths, LAPEL_RADIO_FAULTS=number)


def backups(number: int) -> Outcome:
    """Every step of a backup and a restore interrupted; backups under load, some of them killed."""
    paths = ["tests/backup", "tests/scenarios/test_backup_load.py", "--timeout=1800"]
    return tests("backups", f"{number} recordings", paths, LAPEL_BACKUP_STRIDE=1, LAPEL_BACKUP_RECORDINGS=number)


def emergencies(_number: int) -> Outcome:
    """The tight bound, in the worst of company."""
    return tests("emergencies", "99 % in 100 ms", ["-m", "soak", "tests/scenarios", "--timeout=600"])


def fuzz(seconds: int) -> Outcome:
    """The parsers of what devices send, guided by coverage."""
    began_s = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    words = "\n".join(done.stdout.strip().splitlines()[-8:]) + ("" if done.returncode == 0 else done.stderr[-2000:])
    return Outcome("fuzz", f"{seconds} s", done.returncode == 0, time.monotonic() - began_s, [], words)


def second_places(number: int) -> Outcome:
    """So many kills while copies are made and power cuts of the second disk; every file operation failed once."""
    paths = ["tests/faults/test_copies.py", "tests/faults/test_second_disk.py", "tests/evidence/copies/test_faults.py"]
    lengths = {"LAPEL_COPY_KILLS": number, "LAPEL_COPY_CUTS": number, "LAPEL_COPY_STRIDE": 1}
    return tests("second places", f"{number} kills, cuts", [*paths, "--timeout=3600"], **lengths)


def demonstration(seconds: int) -> Outcome:
    """The whole path on emulated devices."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lapel-soak-") as folder:
        words = ["demo", "--duration", str(seconds), "--json", "--port", "0", "--data", folder]
        done = subprocess.run([sys.executable, "-m", "gateway", *words], cwd=ROOT, capture_output=True, text=True)
        verified = subprocess.run(
            [sys.executable, "-m", "gateway", "evidence", "verify", "--all", "--data", folder],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    lines = done.stdout.strip().splitlines()
    account = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    passed = done.returncode == 0 and account.get("lost") == 0 and verified.returncode == 0
    simple = {key: value for key, value in account.items() if isinstance(value, (int, float, str))}
    words_after = verified.stdout.strip() if passed else done.stderr[-3000:] + verified.stdout + verified.stderr
    figures = [{"what": "account", **simple}]
    return Outcome("demonstration", f"{seconds} s", passed, time.monotonic() - began_s, figures, words_after)


def scale(seconds: int) -> Outcome:
    """The design size of one machine."""
    began_s = time.monotonic()
    words = [sys.executable, "-m", "tests.bench.scale", "--seconds", str(seconds)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    told = json.loads(done.stdout[done.stdout.index("{") :]) if done.returncode == 0 else {}
    passed = bool(told) and told["sound"]
    figures = [{"what": "100,000 units", **told}]
    return Outcome("scale", f"{seconds} s", passed, time.monotonic() - began_s, figures, done.stderr[-2000:])


PARTS: list[tuple[str, int, Callable[[int], Outcome]]] = [
    ("LAPEL_KILLS", 200, kills),
    ("LAPEL_INJECTIONS", 24, injections),
    ("LAPEL_BIG_MB", 4096, large),
    ("LAPEL_FAIR_S", 20, fairness),
    ("LAPEL_CUTS", 50, cuts),
    ("LAPEL_FLIPS", 1_000_000, flips),
    ("LAPEL_EXAMPLES", 20_000, properties),
    ("LAPEL_RADIO_FAULTS", 1000, radio_faults),
    ("LAPEL_STEP_STRIDE", 1, every_step),
    ("LAPEL_DISPOSAL_STRIDE", 1, disposals),
    ("LAPEL_LOG_ENTRIES", 70_000, whole_logs),
    ("LAPEL_HISTORY_KILLS", 30, histories),
    ("LAPEL_BACKUPS", 40, backups),
    ("LAPEL_EMERGENCIES", 1, emergencies),
    ("LAPEL_REBUILD_EXHIBITS", 10_000, rebuilds),
    ("LAPEL_FUZZ_S", 600, fuzz),
    ("LAPEL_COPY_KILLS", 30, second_places),
    ("LAPEL_DEMO_S", 600, demonstration),
    ("LAPEL_ACTS", 300, acts),
    ("LAPEL_API_EXAMPLES", 100, api),
    ("LAPEL_SCALE_S", 180, scale),
]


def section(outcomes: list[Outcome], commit: str, at: datetime) -> str:
    """The record's new section."""
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}, Python {sys.version.split()[0]}"
    )
    lines = [
        f"## {at:%Y-%m-%d %H:%M} UTC, commit {commit}",
        "",
        f"{machine}; seed {os.environ.get('LAPEL_SEED', 'default')}.",
        "",
        "| part | length | result | duration |",
        "|---|---|---|---|",
        *(f"| {each.name} | {each.asked} | {each.verdict} | {each.seconds:.0f} s |" for each in outcomes),
        "",
    ]
    for each in outcomes:
        if each.passed:
            told = "; ".join([*map(_figure, each.figures), each.last_words])
            lines.append(f"- {each.name}: {told}")
        else:
            lines += ["", f"{each.name}:", "", "```", each.last_words, "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _figure(noted: dict[str, Any]) -> str:
    rest = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in noted.items() if key != "what")
    return f"{noted['what']}: {rest}"


def commit_now() -> str:
    """The commit that is tested, and whether the tree has more than it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "gateway", "drivers", "firmware_stubs")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if changed else "")


def main() -> int:
    """Run the parts, print them, record them; exit 1 if one failed."""
    at, commit, outcomes = datetime.now(UTC), commit_now(), []
    for name, default, part in PARTS:
        if number := count(name, default):
            print(f"{name.removeprefix('LAPEL_').lower()}: {number} ...", file=sys.stderr, flush=True)
            outcomes.append(part(number))
            print(f"  {outcomes[-1].verdict} in {outcomes[-1].seconds:.0f} s", file=sys.stderr, flush=True)
    text = section(outcomes, commit, at)
    RECORD.parent.mkdir(exist_ok=True)
    _, mark, before = (RECORD.read_text("utf-8") if RECORD.exists() else "").partition("\n## ")
    RECORD.write_text(f"{HEAD}{mark}{before}".rstrip() + f"\n\n{text}", "utf-8")
    print(text)
    return 0 if outcomes and all(each.passed for each in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
