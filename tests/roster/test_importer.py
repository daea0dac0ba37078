"""Roster files: what is wrong is named by file and row."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from gateway.errors import ConfigError
from gateway.roster.importer import KINDS, read

GOOD = """
v = 1
[[person]]
id = "P-1"
collar = "7714"
name = "Officer 1"
agency = "PCC"
role = "CSO"
issi = 2341001
powers = [{ id = "pcn" }, { id = "csas.litter", expires = 2027-03-31, area = "E06000031" }]
[[unit]]
id = "PCC.CSO-1"
callsign = "CSO1"
agency = "PCC"
members = ["P-1"]
[[device]]
id = "cam-1"
kind = "camera"
agency = "PCC"
[[booking]]
device = "cam-1"
holder = "P-1"
from = 2026-11-21T21:00:00Z
how = "kiosk"
"""


def roster(folder: Path, text: str, name: str = "roster.toml") -> Path:
    """A file with this text."""
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_the_wire_example_is_read(shared: Path) -> None:
    """The example that both sides of the interface share."""
    file = read(shared / "examples" / "wire" / "roster.toml")
    assert [person.id for person in file.people] == ["P-0014"]
    assert [power.id for power in file.people[0].powers] == ["pcn", "csas.litter"]
    assert {device.kind for device in file.devices} == {"camera", "beacon", "terminal"}
    assert file.bookings[0].how == "kiosk"


def test_the_example_is_read_and_says_every_key() -> None:
    """config/people.toml loads as it stands, and leaves out no key that the importer takes."""
    example = Path(__file__).parents[2] / "config" / "people.toml"
    file = read(example)
    assert all((file.people, file.units, file.devices, file.bookings))
    stated = tomllib.loads(example.read_text("utf-8"))
    for kind, shape in KINDS.items():
        known = {field.encode_name for field in msgspec.structs.fields(shape)}
        assert {key for row in stated[kind] for key in row} == known
    members = {member for unit in file.units for member in unit.members}
    assert members <= {person.id for person in file.people}
    assert {booking.device for booking in file.bookings} <= {device.id for device in file.devices}


def test_a_toml_roster_is_read_whole(tmp_path: Path) -> None:
    """People, units, devices, bookings; defaults filled in."""
    file = read(roster(tmp_path, GOOD))
    assert file.units[0].kind == "foot"
    assert file.people[0].powers[1].expires.isoformat() == "2027-03-31"
    assert file.bookings[0].since.isoformat() == "2026-11-21T21:00:00+00:00"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "P-1"', 'id = "P 1"', "person[0]: 'P 1' is not a valid person id"),
        ('id = "PCC.CSO-1"', 'id = "CSO-1"', "unit[0]: 'CSO-1' is not a valid unit id (AGENCY.NAME)"),
        ('id = "cam-1"', 'id = "gateway"', "device[0]: 'gateway' is not a valid device id"),
        ("issi = 2341001", "issi = 99999999", "person[0]: 99999999 is not an ISSI"),
        ('kind = "camera"', 'kind = "drone"', "device[0]: Invalid enum value 'drone'"),
        ('{ id = "pcn" }', '{ id = "stop-search" }', "person[0]: 'stop-search' is not a valid power"),
        ('role = "CSO"', 'rank = "CSO"', "person[0].rank: unknown key"),
        ("21:00:00Z", "21:00:00", "booking[0]: from and to need a time zone"),
        ('how = "kiosk"', "to = 2026-11-21T20:00:00Z", "booking[0]: to is not after from"),
        ("v = 1", "v = 2", "v: version 2 is not known here"),
        ("[[unit]]", "[[units]]", "units: unknown key"),
        ("[[device]]", "[device]", "device: write [[device]], one table each"),
    ],
)
def test_each_fault_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    """File, row and reason."""
    with pytest.raises(ConfigError) as wrong:
        read(roster(tmp_path, GOOD.replace(old, new)))
    assert str(wrong.value).startswith(str(tmp_path / "roster.toml"))
    assert said in str(wrong.value)


def test_an_id_or_issi_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Two people cannot be one."""
    twice = GOOD + '[[person]]\nid = "P-1"\nname = "x"\nagency = "PCC"\nrole = "CSO"\n'
    with pytest.raises(ConfigError, match=r"person.id: 'P-1' stands twice"):
        read(roster(tmp_path, twice))
    same = GOOD + '[[person]]\nid = "P-2"\nname = "x"\nagency = "PCC"\nrole = "CSO"\nissi = 2341001\n'
    with pytest.raises(ConfigError, match=r"person.issi: 2341001 stands twice"):
        read(roster(tmp_path, same))


def test_csv_of_each_kind(tmp_path: Path) -> None:
    """A spreadsheet's export: the columns tell the kind; a byte-order mark is no harm."""
    people = "\ufeffid,name,agency,role,collar,issi,powers\nP-1,Officer 1,PCC,CSO,7714,2341001,pcn csas.litter\n"
    file = read(roster(tmp_path, people, "people.csv"))
    assert [power.id for power in file.people[0].powers] == ["pcn", "csas.litter"]
    units = read(roster(tmp_path, "id,callsign,agency,members\nPCC.C-1,C1,PCC,P-1 P-2\n", "units.csv"))
    assert units.units[0].members == ("P-1", "P-2")
    devices = read(roster(tmp_path, "id,kind,agency,issi\ntrm-1,terminal,PCC,2341001\n", "devices.csv"))
    assert devices.devices[0].issi == 2341001
    booked = read(roster(tmp_path, "device,holder,from,how\ntrm-1,P-1,2026-11-21T21:00:00Z,card\n", "b.csv"))
    assert booked.bookings[0].how == "card"


def test_a_bad_cell_names_its_row(tmp_path: Path) -> None:
    """Row numbers count from 0, as in TOML."""
    with pytest.raises(ConfigError, match=r"person\[1\]: invalid literal"):
        read(roster(tmp_path, "id,name,agency,role,issi\nP-1,a,X,Y,1\nP-2,b,X,Y,one\n", "p.csv"))


def test_what_is_no_roster_is_refused(tmp_path: Path) -> None:
    """Not TOML, not there, not text."""
    with pytest.raises(ConfigError, match="is not TOML"):
        read(roster(tmp_path, "[[person"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "nowhere.toml")
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "x.toml")
