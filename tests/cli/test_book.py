"""`lapel book` and `lapel roster`: who holds what, with its history; files good and bad."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.api.site import ROSTER
from tests.cli.conftest import ROOT, Lapel, outside


def rows(lapel: Lapel, store: Path, *device: str) -> list[dict]:
    """Every booking ever entered."""
    return lapel("book", "list", *device, "--data", store, "--json").json["bookings"]


def test_on_off_correct(lapel: Lapel, bare: Path) -> None:
    """Nothing is overwritten: each act is a row that names the one it replaces."""
    assert [row["holder"] for row in rows(lapel, bare, "cam-0042")] == ["P-0014"]
    on = lapel("book", "on", "cam-0042", "P-0015", "--how", "card", "--from", "2026-11-21T20:00:00Z", "--data", bare)
    assert on.code == 0
    assert "P-0015" in on.out
    off = lapel("book", "off", "cam-0042", "--to", "2026-11-21T23:00:00Z", "--data", bare, "--json").json["bookings"]
    assert [(row["holder"], row["until"]) for row in off] == [("P-0015", "2026-11-21T23:00:00Z")]
    number = str(off[0]["id"])
    fixed = lapel("book", "correct", number, "--holder", "P-1187", "--reason", "wrong card", "--data", bare, "--json")
    assert (fixed.code, fixed.json["bookings"][0]["holder"]) == (0, "P-1187")
    history = rows(lapel, bare, "cam-0042")
    assert [(row["holder"], row["corrects"], row["until"] is None) for row in history] == [
        ("P-0014", None, True),
        ("P-0014", history[0]["id"], False),
        ("P-0015", None, True),
        ("P-0015", history[2]["id"], False),
        ("P-1187", history[3]["id"], False),
    ]
    last = history[-1]
    assert (last["how"], last["reason"]) == ("corrected", "wrong card")
    assert last["actor"].startswith("cli:")
    assert "wrong card" in lapel("book", "list", "--data", bare).out


def test_to_a_unit(lapel: Lapel, bare: Path) -> None:
    """A vehicle's beacon is its crew's."""
    assert lapel("book", "on", "bcn-14", "CAMBS.PC-1187", "--data", bare).code == 0
    listed = lapel("roster", "list", "--data", bare, "--json").json
    assert "bcn-14" in listed["held"]["P-1187"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("on", "cam-9999", "P-0014"), "device 'cam-9999' is not on the roster"),
        (("on", "cam-0042", "P-9999"), "'P-9999' is neither a person nor a unit"),
        (("off", "trm-2341014", "--to", "2020-01-01T00:00:00Z"), "nobody held trm-2341014"),
        (("correct", "999", "--reason", "x"), "booking 999: there is none in force"),
        (("correct", "1", "--to", "2020-01-01T00:00:00Z", "--reason", "x"), "before"),
        (("correct", "1", "--reason", " "), "--reason: say why"),
    ],
)
def test_what_cannot_be(lapel: Lapel, bare: Path, words: tuple[str, ...], said: str) -> None:
    """Refused, said why, and nothing is entered."""
    before = rows(lapel, bare)
    done = lapel("book", *words, "--data", bare)
    assert (done.code, done.out) == (2 if "--reason:" in said else 1, "")
    assert said in done.err
    assert rows(lapel, bare) == before


def test_a_running_gateway_sees_it(tmp_path: Path) -> None:
    """Two processes: booked on by a command, and the gateway's next answer knows, within 1.5 s."""
    (tmp_path / "roster.toml").write_text(ROSTER)
    config = tmp_path / "lapel.toml"
    config.write_text(
        '[gateway]\ndata = "data"\n[roster]\nfile = "roster.toml"\n[api]\nport = 0\n[store]\nreserve_mb = 0\n'
    )
    with (tmp_path / "out").open("wb") as out:
        gateway = subprocess.Popen([sys.executable, "-m", "gateway", "run", "-c", config], stderr=out, cwd=ROOT)
    try:
        url = address(tmp_path / "out")
        assert outside("user", "add", "control", "--role", "controller", "-c", config).code == 0
        token = outside("token", "create", "--user", "control", "-c", config).out.strip()
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
            assert holders(client) == ["P-0014"]
            assert outside("book", "on", "cam-0042", "P-0015", "-c", config).code == 0
            began = time.monotonic()
            while holders(client) != ["P-0015"]:
                assert time.monotonic() - began < 1.5
                time.sleep(0.02)
            assert outside("user", "disable", "control", "-c", config).code == 0
            assert client.get("/v1/devices").status_code == 401
        assert outside("log", "verify", "-c", config).code == 0
    finally:
        gateway.terminate()
        assert gateway.wait(20) == 0


def address(log: Path) -> str:
    """Where it says that it listens."""
    import json

    until = time.monotonic() + 20
    while time.monotonic() < until:
        for line in log.read_text().splitlines():
            said = json.loads(line)
            if said.get("event") == "started":
                return said["address"]
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def holders(client: httpx.Client) -> list[str]:
    """Who has the camera."""
    devices = client.get("/v1/devices").raise_for_status().json()["devices"]
    return next(row["holders"] for row in devices if row["device"]["id"] == "cam-0042")


# --- roster files


def test_import_and_import_again(lapel: Lapel, bare: Path, tmp_path: Path) -> None:
    """The same file changes nothing; a changed person is one change."""
    again = lapel("roster", "import", tmp_path / "roster.toml", "--data", bare, "--json").json
    assert again == {"people": 0, "units": 0, "devices": 0, "bookings": 0, "shifts": 0}
    (tmp_path / "roster.toml").write_text(ROSTER.replace("Officer 14", "Sergeant 14"))
    done = lapel("roster", "import", tmp_path / "roster.toml", "--data", bare)
    assert done.out == "1 people, 0 units, 0 devices, 0 bookings new or changed\n"


def test_list(lapel: Lapel, bare: Path) -> None:
    """People with unit, powers, and what they hold."""
    line = next(each for each in lapel("roster", "list", "--data", bare).out.splitlines() if "P-0014" in each)
    assert all(word in line for word in ("7714", "PCC.CSO-014", "pcn", "csas.litter", "cam-0042"))
    body = lapel("roster", "list", "--data", bare, "--json").json
    assert (len(body["people"]), len(body["units"]), len(body["devices"])) == (3, 3, 5)


@pytest.mark.parametrize(
    ("name", "content", "changed"),
    [
        ("people.csv", "id,name,agency,role,collar,issi,powers\nP-1,One,A,R,11,2340001,pcn csas.litter\n", "1 people"),
        ("units.csv", "id,callsign,agency,kind,members\nPCC.X-1,X1,PCC,foot,P-0014 P-0015\n", "1 units"),
        ("devices.csv", "id,kind,agency,issi\ncam-7,camera,PCC,\ntrm-7,terminal,PCC,2340007\n", "2 devices"),
        (
            "book.csv",
            "device,holder,from,to,how\nbcn-15,P-0014,2026-11-01T08:00:00Z,2026-11-01T16:00:00Z,card\n",
            "1 book",
        ),
        ("bom.csv", "\ufeffid,name,agency,role\nP-2,Ångström,A,R\n", "1 people"),
    ],
)
def test_csv(lapel: Lapel, bare: Path, tmp_path: Path, name: str, content: str, changed: str) -> None:
    """One kind a file, told by its columns; with a byte order mark as spreadsheets write it."""
    (tmp_path / name).write_text(content, "utf-8")
    done = lapel("roster", "import", tmp_path / name, "--data", bare)
    assert (done.code, changed in done.out) == (0, True), done


PERSON = 'name = "N"\nagency = "A"\nrole = "R"\n'


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.toml", "[[person]]\nid = 'P 1'\n" + PERSON, "person[0]: 'P 1' is not a valid person id"),
        ("a.toml", "[[person]]\nid = 'P-1'\n" + PERSON * 1 + "powrs = []\n", "person[0].powrs: unknown key"),
        ("a.toml", "[[person]]\nid = 'P-1'\n", "person[0]: Object missing required field"),
        (
            "a.toml",
            f"[[person]]\nid = 'P-1'\n{PERSON}[[person]]\nid = 'P-1'\n{PERSON}",
            "person.id: 'P-1' stands twice",
        ),
        ("a.toml", f"[[person]]\nid = 'P-1'\n{PERSON}issi = 0\n", "person[0]: 0 is not an ISSI"),
        ("a.toml", "[[device]]\nid = 'x'\nkind = 'toaster'\nagency = 'A'\n", "device[0]: Invalid enum value 'toaster'"),
        (
            "a.toml",
            "[[device]]\nid = 'gateway'\nkind = 'camera'\nagency = 'A'\n",
            "device[0]: 'gateway' is not a valid",
        ),
        ("a.toml", "[[booking]]\ndevice = 'x'\nholder = 'y'\nfrom = 2026-01-01\n", "booking[0]"),
        ("a.toml", "[[booking]]\ndevice = 'x'\nholder = 'y'\nfrom = 2026-01-01T00:00:00\n", "booking[0]: "),
        (
            "a.toml",
            "[[booking]]\ndevice='x'\nholder='y'\nfrom = 2026-01-02T00:00:00Z\nto = 2026-01-01T00:00:00Z\n",
            "booking[0]: to is not after from",
        ),
        ("a.toml", "[person]\nid = 'P-1'\n", "person: write [[person]]"),
        ("a.toml", "[[persons]]\nid = 'P-1'\n", "persons: unknown key"),
        ("a.toml", "v = 2\n", "v: version 2 is not known here"),
        ("a.toml", "[[person\n", "is not TOML"),
        ("a.csv", "id,name,agency,role,issi\nP-1,One,A,R,2340001\nP-2,Two,A,R,many\n", "person[1]: "),
        ("a.csv", "id,name,agency,role,shoe\nP-1,One,A,R,44\n", "person[0].shoe: unknown key"),
        ("a.csv", "id,name,agency,role\nP-1,One,A\n", "person[0]: Object missing required field"),
        ("a.csv", "id,name,agency,role\nP-1,One,A,R,extra\n", "person[0]"),
        ("a.csv", "device,holder,from\nx,y,noon\n", "booking[0]: "),
    ],
)
def test_bad_files(lapel: Lapel, bare: Path, tmp_path: Path, name: str, content: str, said: str) -> None:
    """Exit 2 with file, row and what is wrong; nothing of the file is taken."""
    (tmp_path / name).write_text(content)
    before = lapel("roster", "list", "--data", bare, "--json").out
    done = lapel("roster", "import", tmp_path / name, "--data", bare)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"{tmp_path / name}: ")
    assert said in done.err, done.err
    assert lapel("roster", "list", "--data", bare, "--json").out == before


def test_files_that_cannot_be_read(lapel: Lapel, bare: Path, tmp_path: Path) -> None:
    """Missing, a directory, no text."""
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "binary.csv"):
        done = lapel("roster", "import", path, "--data", bare)
        assert (done.code, done.err.startswith(f"{path}: cannot be read")) == (2, True), done
