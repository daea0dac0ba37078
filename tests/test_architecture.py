"""The floor plan, held: pure modules, size budgets, names, and that every contract is checked.

Rules 2 to 9 of the plan are import-linter contracts in pyproject.toml; rule 1 and the budgets are here;
rule 10 is tests/test_supervisor.py.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = sorted(path for room in ("gateway", "drivers", "firmware_stubs") for path in (ROOT / room).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MODULE_LINES, FUNCTION_LINES = 400, 40
IO_SHARE = 0.30

PURE = """
drivers/beacon/formats.py drivers/beacon/geojson.py drivers/beacon/gpsd.py drivers/beacon/message.py
drivers/beacon/nmea.py drivers/beacon/owntracks.py drivers/beacon/plain.py drivers/beacon/topics.py
drivers/beacon/wire.py drivers/camera/recalling.py drivers/camera/share.py drivers/camera/telemetry.py
drivers/camera/transfer.py drivers/camera/wire.py
drivers/tetra/bits.py drivers/tetra/dialects.py drivers/tetra/gsm7.py drivers/tetra/lip.py drivers/tetra/lip_elements.py
drivers/tetra/lip_json.py drivers/tetra/lip_long.py drivers/tetra/lip_scales.py drivers/tetra/lip_short.py
drivers/tetra/pei.py drivers/tetra/sds.py drivers/tetra/session.py drivers/tetra/text.py drivers/tetra/translate.py
gateway/domain gateway/errors.py
gateway/evidence/fold.py gateway/evidence/log/checkpoint.py gateway/evidence/log/merkle.py
gateway/evidence/log/proof.py gateway/evidence/log/tiles.py gateway/evidence/rows.py gateway/evidence/shares.py
gateway/evidence/log/rotation.py
gateway/evidence/vault/ranges.py
gateway/evidence/log/add_checkpoint.py
gateway/evidence/log/proof.py gateway/evidence/log/tiles.py gateway/evidence/rows.py gateway/evidence/vault/ranges.py
gateway/feed/board.py gateway/feed/duty.py gateway/feed/emergencies.py gateway/feed/encode.py gateway/feed/filters.py
gateway/feed/freshness.py gateway/feed/messages.py gateway/feed/nearest.py gateway/feed/roll.py gateway/feed/sse.py
gateway/feed/standing.py gateway/feed/wording.py
gateway/pipeline/resolve.py gateway/pipeline/route.py gateway/pipeline/screen.py
gateway/roster/directory.py gateway/roster/rights.py
gateway/cli/demo_account.py
drivers/tetra/assembly.py
drivers/tetra/flight.py
drivers/tetra/heard.py
drivers/tetra/lip_requests.py
drivers/tetra/outbox.py
drivers/tetra/probing.py
drivers/tetra/radio_state.py
drivers/tetra/sds_parts.py
drivers/tetra/settings.py
drivers/tetra/questions.py
drivers/tetra/burst.py
gateway/feed/reach.py
gateway/feed/last_words.py
gateway/feed/escalation.py
gateway/feed/proofs.py
gateway/feed/handsets.py
gateway/feed/batches.py
gateway/feed/areas.py gateway/feed/questions.py
gateway/feed/engaged.py gateway/feed/fusion.py gateway/feed/members.py gateway/feed/overtime.py
gateway/feed/zones.py gateway/feed/zone_shapes.py gateway/feed/zone_rows.py gateway/feed/zone_cover.py
gateway/cli/doctor_words.py
gateway/dispatch/task.py
gateway/dispatch/asked.py
gateway/dispatch/whom.py
gateway/dispatch/share.py
gateway/dispatch/times.py
gateway/dock/receipt.py
gateway/dock/sending.py
gateway/evidence/speaking.py
gateway/media/boxes.py
gateway/media/commands.py
gateway/media/facts.py
gateway/media/settings.py
gateway/evidence/arrivals.py
gateway/evidence/awaited.py
gateway/evidence/matching.py
gateway/evidence/numbering.py
gateway/evidence/track.py
gateway/crypto/der.py
gateway/evidence/export/faults.py
gateway/evidence/disposal/certificate.py
gateway/evidence/disposal/law.py
gateway/evidence/disposal/record.py
gateway/evidence/work/acts.py
gateway/evidence/work/comparison.py
gateway/evidence/work/holds.py
gateway/evidence/work/playback.py
gateway/evidence/work/refusals.py
gateway/evidence/work/rules.py
gateway/evidence/work/terms.py
gateway/evidence/work/verbs.py
gateway/evidence/monitor/frontier.py
gateway/evidence/monitor/items.py
gateway/evidence/recall.py
gateway/evidence/shown.py
gateway/media/cutting.py
gateway/pipeline/tally.py
gateway/history/batch.py
gateway/history/frame.py
gateway/outlets/cot.py
gateway/outlets/cot_waiting.py
gateway/outlets/cot_settings.py
gateway/feed/retained.py
gateway/feed/status.py
gateway/feed/past.py
gateway/feed/simplify.py
gateway/feed/track.py
""".split()
"""Bytes in, events out, time as an argument."""

ALLOWED = {
    "__future__", "abc", "ast", "base64", "binascii", "bisect", "collections", "contextlib", "dataclasses", "datetime",
    "drivers", "enum", "functools", "gateway", "hashlib", "heapq", "hmac", "itertools", "json", "math", "msgspec",
    "numpy", "operator", "pynmeagps", "re", "statistics", "string", "struct", "types", "typing", "rfc8785",
    "structlog",  # states what happened; it neither reads nor decides anything
}  # fmt: skip
IMPURE_CALLS = {"open", "input", "print", "exec", "eval", "__import__", "now", "utcnow", "today", "monotonic", "time"}
CLOCKS = {"datetime", "date", "time"}
IO_MODULES = {
    "aiohttp", "asyncio", "concurrent", "fcntl", "iotcore", "multiprocessing", "os", "paho", "select", "serial",
    "shutil", "signal", "socket", "sqlalchemy", "sqlite3", "ssl", "subprocess", "termios", "threading", "tty",
}  # fmt: skip
NEVER = re.compile(r"manager|handler|processor|helper|util|common|base|data|info|service", re.IGNORECASE)
FIELD_WORDS = {"database"}


def modules(names: list[str]) -> Iterator[Path]:
    """Files, and every file of a folder."""
    for name in names:
        path = ROOT / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def tree(path: Path) -> ast.Module:
    """A module's syntax."""
    return ast.parse(path.read_text("utf-8"), str(path))


def roots(path: Path) -> set[str]:
    """Top-level packages that a module imports while it runs (not for type checking alone)."""
    found = set()
    whole = tree(path)
    lines = {
        node.lineno
        for top in ast.walk(whole)
        if isinstance(top, ast.If) and "TYPE_CHECKING" in ast.unparse(top.test)
        for node in ast.walk(top)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    for node in ast.walk(whole):
        if isinstance(node, ast.Import) and node.lineno not in lines:
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.lineno not in lines and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found


def impure_calls(path: Path) -> list[str]:
    """Calls that read a clock, a file or a person."""
    found = []
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in {"open", "input", "print", "exec", "eval", "__import__"}:
            found.append(f"{path.name}:{node.lineno} {node.func.id}")
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            whole = f"{node.func.value.id}.{node.func.attr}"
            if node.func.value.id in CLOCKS and node.func.attr in IMPURE_CALLS:
                found.append(f"{path.name}:{node.lineno} {whole}")
    return found


@pytest.mark.parametrize("path", list(modules(PURE)), ids=lambda path: str(path.relative_to(ROOT)))
def test_rule_1_sans_io_modules_are_pure(path: Path) -> None:
    """An allow-list of imports, and no call that reads a clock or a file."""
    assert path.exists()
    assert roots(path) <= ALLOWED
    assert impure_calls(path) == []


def test_rule_1_sees_a_breach(tmp_path: Path) -> None:
    """The check can fail: each forbidden thing is seen."""
    bad = tmp_path / "bad.py"
    bad.write_text("import os\nfrom datetime import datetime\nx = datetime.now()\ny = open('f')\n")
    assert "os" in roots(bad) - ALLOWED
    assert len(impure_calls(bad)) == 2


def test_every_wire_session_and_transfer_is_among_the_pure() -> None:
    """A new device's sans-IO modules cannot be forgotten."""
    named = [
        path for path in CODE if path.parent.parent.name == "drivers" and path.stem in ("wire", "session", "transfer")
    ]
    assert named
    assert set(named) <= set(modules(PURE))


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_small(path: Path) -> None:
    """Hard budgets: 400 lines a module, 40 a function."""
    assert len(path.read_text("utf-8").splitlines()) <= MODULE_LINES
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1}"
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    ]
    assert long == []


def test_few_modules_touch_the_outside() -> None:
    """At most three modules in ten import something that does I/O (stubs and commands are all I/O)."""
    counted = [path for path in CODE if path.parts[len(ROOT.parts)] != "firmware_stubs" and "cli" not in path.parts]
    touching = [path for path in counted if roots(path) & (IO_MODULES - {"asyncio"})]
    assert len(touching) / len(counted) <= IO_SHARE, sorted(str(path.relative_to(ROOT)) for path in touching)


def test_names_are_words_of_the_field() -> None:
    """No manager, handler, processor, helper, util, common, base, data, info or service."""
    found = []
    for path in CODE:
        names = [path.stem] + [node.name for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
        found += [f"{path.relative_to(ROOT)}: {name}" for name in names if NEVER.search(name)]
    assert found == []


def test_tests_are_as_long_as_the_code() -> None:
    """At least as many lines of tests as of code; the stubs are equipment of the tests and count as neither."""
    ours = [path for path in CODE if "firmware_stubs" not in path.parts]
    code = sum(len(path.read_text("utf-8").splitlines()) for path in ours)
    tests = sum(len(path.read_text("utf-8").splitlines()) for path in TESTS)
    assert tests >= code, f"{tests} lines of tests, {code} of code"


def test_every_public_function_of_a_test_says_what_it_shows() -> None:
    """Each test has its one line."""
    bare = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in TESTS
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert bare == []


def test_every_rule_has_its_contract() -> None:
    """Rules 2 to 9 are contracts that `make check` runs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    names = [contract["name"] for contract in project["tool"]["importlinter"]["contracts"]]
    assert {name.split(".")[0].rstrip("abcdefg") for name in names} == {"2", "3", "4", "5", "6", "7", "8", "9"}


def test_rule_3_no_room_names_a_driver() -> None:
    """Kinds of drivers are strings in the registry and in configurations, not in the gateway's rooms."""
    kinds = {"tetra"}
    found = []
    for path in (ROOT / "gateway").rglob("*.py"):
        if "cli" in path.parts:
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant) and node.value in kinds:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_rule_5_the_http_client_and_the_http_server_have_a_room_each() -> None:
    """The one library is two doors: outlets only ask, and nobody else does."""
    client = re.compile(r"\bClientSession\b|\bhttpx\b|\burllib\.request\b|\brequests\b\.")
    asking = {path.relative_to(ROOT).parts[1] for path in CODE if client.search(path.read_text("utf-8"))}
    assert asking <= {"outlets", "cli"}, asking
    outlets = (ROOT / "gateway/outlets").glob("*.py")
    serving = [path.name for path in outlets if "aiohttp import web" in path.read_text("utf-8")]
    assert serving == []


def test_no_commit_names_a_machine_or_a_registry() -> None:
    """No path of a machine, no registry's host, in what is shipped."""
    private = re.compile(r"/(?:root|home)/[a-z]|/work/|--(?:extra-)?index-url|pythonhosted|file:///")
    shipped = [*CODE, ROOT / "requirements.lock", ROOT / "pyproject.toml", ROOT / "README.md", ROOT / "Makefile"]
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in shipped
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if private.search(line)
    ]
    assert found == []
