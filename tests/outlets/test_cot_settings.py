"""[[cot]]: closed, each mistake named by table and key."""

from __future__ import annotations

import pytest

from gateway.errors import ConfigError
from gateway.settings import load, parse

ONE = {"name": "tak", "host": "127.0.0.1", "port": 8087}


def test_a_server_and_its_defaults() -> None:
    """A track's type, no TLS, a hundred a second."""
    (made,) = parse({"cot": [ONE | {"agency": ["PCC"], "types": {"PC": "a-f-G-U-U-L-C"}}]}).cot
    assert (made.type, made.tls, made.rate_hz, made.agency) == ("a-f-G-U-C", False, 100.0, ("PCC",))
    assert parse({}).cot == []


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"hosts": "x"}, "cot[0].hosts"),
        ({"port": 0}, "cot[0].port"),
        ({"rate_hz": 101.0}, "cot[0].rate_hz"),
        ({"type": '"/><x'}, "cot[0].type"),
        ({"types": {"PC": "nonsense"}}, "cot[0].types"),
        ({"ca": "ca.pem"}, "cot[0].ca"),
        ({"tls": True, "cert": "c.pem"}, "cot[0].key"),
    ],
)
def test_mistakes_are_named(table, key) -> None:
    """Table and key."""
    with pytest.raises(ConfigError) as wrong:
        parse({"cot": [ONE | table]})
    assert wrong.value.key.startswith(key)


@pytest.mark.parametrize(("cot", "key"), [([ONE, ONE], "cot[1].name"), (ONE, "cot"), ([3], "cot"), ([{}], "cot[0]")])
def test_tables_are_named(cot, key) -> None:
    """Twice one name; a section where tables are wanted; a table without what it needs."""
    with pytest.raises(ConfigError) as wrong:
        parse({"cot": cot})
    assert wrong.value.key.startswith(key)


def test_its_files_are_looked_for_beside_the_configuration(tmp_path) -> None:
    """Relative to it, and they must be readable."""
    (tmp_path / "c.toml").write_text('[[cot]]\nname = "a"\nhost = "h"\nport = 8089\ntls = true\nca = "ca.pem"\n')
    with pytest.raises(ConfigError) as wrong:
        load(tmp_path / "c.toml")
    assert wrong.value.key == "cot[0].ca"
    (tmp_path / "ca.pem").write_text("x")
    assert load(tmp_path / "c.toml").cot[0].ca == str(tmp_path / "ca.pem")
