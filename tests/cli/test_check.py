"""`lapel check`, and what every command makes of a bad configuration or bad usage."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Lapel, outside

GOOD = """
[gateway]
instance = "pbo-1"
data = "data"
[broker]
host = "127.0.0.1"
[[driver]]
kind = "tetra"
name = "terminal-1"
port = "/dev/ttyUSB0"
[[driver]]
kind = "beacon"
name = "beacons"
[roster]
file = "roster.toml"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A good configuration, to be spoiled."""
    (tmp_path / "lapel.toml").write_text(GOOD)
    (tmp_path / "roster.toml").write_text('v = 1\n[[person]]\nid = "P-1"\nname = "N"\nagency = "A"\nrole = "R"\n')
    return tmp_path / "lapel.toml"


def test_good(lapel: Lapel, config: Path) -> None:
    """Exit 0, and the effective settings, defaults included."""
    done = lapel("check", "-c", config)
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith(f"{config}: good\n")
    printed = tomllib.loads(done.out.rpartition(f"{config}: good")[0])
    assert printed["gateway"] == {"instance": "pbo-1", "data": str(config.parent / "data")}
    assert printed["api"]["port"] == 8080
    assert [driver["kind"] for driver in printed["driver"]] == ["tetra", "beacon"]


def test_as_json(lapel: Lapel, config: Path) -> None:
    """One document with the same."""
    body = lapel("check", "-c", config, "--json").json
    assert body["driver"][0]["port"] == "/dev/ttyUSB0"
    assert body["roster"]["file"] == str(config.parent / "roster.toml")


def test_the_commented_example_is_good(lapel: Lapel) -> None:
    """What is shipped as an example is one."""
    assert lapel("check", "-c", ROOT / "config" / "lapel.toml").code == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[broker]", "[brokr]", ("brokr: unknown section", "did you mean 'broker'?")),
        ("host =", "hosst =", ("broker.hosst: unknown key", "did you mean 'host'?")),
        ('host = "127.0.0.1"', "host = 7", ("broker.host: Expected `str",)),
        ('host = "127.0.0.1"', "port = 70000", ("broker.port: Expected `int` <= 65535",)),
        ('host = "127.0.0.1"', 'password_file = "no"', ("broker.password_file: ", "cannot be read")),
        ('host = "127.0.0.1"', 'password_env = "LAPEL_NO_SUCH"', ("broker.password_env: ", "is not set")),
        ('host = "127.0.0.1"', 'cert = "lapel.toml"', ("broker.key: cert and key go together",)),
        ('"pbo-1"', '"a b"', ("gateway.instance: ",)),
        ('"roster.toml"', '"nobody.toml"', ("roster.file: ", "nobody.toml cannot be read")),
        ('kind = "tetra"', 'kind = "tetris"', ("driver[0].kind: no driver for 'tetris'", "beacon, camera, tetra")),
        ('kind = "tetra"', "kind = 4", ("driver[0].kind: is required",)),
        ('port = "/dev/ttyUSB0"', "", ("driver[0].port: is required",)),
        ('port = "/dev/ttyUSB0"', 'prot = "/dev/ttyUSB0"', ("driver[0].prot: unknown key", "did you mean 'port'?")),
        ('port = "/dev/ttyUSB0"', "port = 1", ("driver[0].port: Expected `str`",)),
        ('name = "beacons"', 'name = "terminal-1"', ("driver[1].name: 'terminal-1' stands twice",)),
        ('name = "beacons"', 'name = "bea cons"', ("driver[1].name: 'bea cons' is not a name",)),
        ("[roster]", "[feed]\ntick_ms = true\n[roster]", ("feed.tick_ms: Expected `int`",)),
        ("[roster]", "[log]\norigin = 'a b'\n[roster]", ("log.origin: ",)),
        ("[roster]", "[auth]\nroles = { boss = 7 }\n[roster]", ("auth.roles", "Expected `array`")),
        ('[[driver]]\nkind = "tetra"', '[driver]\nkind = "tetra"', ("is not TOML",)),
        ("[broker]", "[broker", ("is not TOML", "line 5")),
        ("\n[gateway]", "api = 1\n[gateway]", ("api: is a section: write [api]",)),
    ],
)
def test_what_is_wrong(lapel: Lapel, config: Path, old: str, new: str, said: tuple[str, ...]) -> None:
    """Exit 2 and `FILE: key: what is wrong`, on standard error."""
    assert old in GOOD
    config.write_text(GOOD.replace(old, new, 1))
    done = lapel("check", "-c", config)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"{config}: ")
    assert done.err.count("\n") == 1
    for part in said:
        assert part in done.err, done.err


def test_a_bad_roster_is_found_before_the_start(lapel: Lapel, config: Path) -> None:
    """What the configuration names is checked too, row by row."""
    roster = config.parent / "roster.toml"
    roster.write_text('[[unit]]\nid = "no dot"\ncallsign = "X"\nagency = "A"\n')
    done = lapel("check", "-c", config)
    assert (done.code, done.err.startswith(f"{roster}: unit[0]: ")) == (2, True)


def test_a_file_that_is_not_there(lapel: Lapel, tmp_path: Path) -> None:
    """Named, for check, run and every command over a store."""
    missing = tmp_path / "none.toml"
    for words in (("check",), ("run",), ("evidence", "list"), ("book", "list"), ("log", "verify")):
        done = lapel(*words, "-c", missing)
        assert (done.code, done.out) == (2, ""), words
        assert done.err == f"{missing}: cannot be read: No such file or directory\n"


def test_run_refuses_a_bad_configuration(config: Path) -> None:
    """As check does, in a process of its own."""
    config.write_text(GOOD.replace("[roster]", "[api]\nprot = 1\n[roster]"))
    done = outside("run", "-c", config)
    assert (done.code, done.err) == (2, f"{config}: api.prot: unknown key (did you mean 'port'?)\n")


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("evidnce", "list"),
        ("check",),
        ("evidence", "list"),
        ("evidence", "list", "--data", "/nowhere/at/all"),
        ("evidence", "list", "-c", "a", "--data", "b"),
        ("evidence", "verify", "X-1", "--all", "--data", "/tmp"),
        ("evidence", "list", "--limit", "0", "--data", "/tmp"),
        ("book", "on", "cam-1"),
        ("book", "on", "cam-1", "P-1", "--how", "telepathy", "--data", "/tmp"),
        ("book", "on", "cam-1", "P-1", "--from", "yesterday", "--data", "/tmp"),
        ("book", "on", "cam-1", "P-1", "--from", "0001-01-01T00:00:00+14:00", "--data", "/tmp"),
        ("book", "on", "cam-1", "P-1", "--from", "0999-01-01T00:00:00Z", "--data", "/tmp"),
        ("book", "correct", "x", "--reason", "r", "--data", "/tmp"),
        ("token", "create", "--user", "x", "--days", "0", "--data", "/tmp"),
        ("token", "create", "--user", "x", "--days", "inf", "--data", "/tmp"),
        ("token", "create", "--user", "x", "--days", "nan", "--data", "/tmp"),
        ("token", "create", "--user", "x", "--days", "1e30", "--data", "/tmp"),
        ("log", "proof", "-1", "--data", "/tmp"),
        ("demo", "--units", "0"),
        ("demo", "--duration", "-1"),
        ("demo", "--port", "99999"),
    ],
)
def test_usage(lapel: Lapel, words: tuple[str, ...]) -> None:
    """Exit 2, said on standard error, nothing on standard output."""
    done = lapel(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.strip()


def test_did_you_mean(lapel: Lapel) -> None:
    """A typing error in the verb."""
    assert "did you mean 'evidence'?" in lapel("evidnce").err


def test_help_and_version(lapel: Lapel) -> None:
    """Exit 0; every verb is listed and has its own help."""
    from gateway.cli import VERBS

    done = lapel("--help")
    assert done.code == 0
    for verb in VERBS:
        assert verb in done.out
        assert lapel(verb, "--help").code == 0
    assert lapel("--version").out.startswith("lapel, version ")
