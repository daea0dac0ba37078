"""[[log.witness]]: who counts, and every fault named by its key."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import settings as configuration
from gateway.crypto.cosignatures import WitnessKey
from gateway.errors import ConfigError


def witness(name: str, operator: str, **more: Any) -> dict[str, Any]:
    """One section, good unless changed."""
    key = str(WitnessKey(f"{name}.test/w", name.encode().ljust(32, b"-")))
    return {"name": name, "operator": operator, "url": "https://w.test", "vkey": key, **more}


def parsed(witnesses: list[dict[str, Any]], **log: Any) -> configuration.LogSection:
    """The section as settings."""
    return configuration.parse({"log": {"operator": "PCC", "witness": witnesses, **log}}).log


def test_who_counts() -> None:
    """Operators other than the log's own, each once; one must cosign where nothing is said and there is any."""
    mixed = [witness("a", "PCC"), witness("b", "CAMBS"), witness("c", "CAMBS"), witness("d", "FIRE")]
    assert parsed(mixed).other_operators == {"CAMBS", "FIRE"}
    assert parsed(mixed).quorum == 1
    assert parsed(mixed, witness_quorum=2).quorum == 2
    assert parsed(mixed, witness_quorum=0).quorum == 0
    assert parsed([witness("a", "PCC")]).quorum == 0
    assert configuration.Settings().log.quorum == 0


@pytest.mark.parametrize(
    ("witnesses", "log", "key"),
    [
        ([witness("a", "CAMBS")], {"witness_quorum": 2}, "log.witness_quorum"),
        ([witness("a", "PCC")], {"witness_quorum": 1}, "log.witness_quorum"),
        ([witness("a", "X"), witness("b", "X")], {"witness_quorum": 2}, "log.witness_quorum"),
        ([], {"witness_quorum": 1}, "log.witness_quorum"),
        ([witness("a", "CAMBS")], {"operator": None}, "log.operator"),
        ([witness("a", "CAMBS"), witness("a", "FIRE")], {}, "log.witness[1].name"),
        ([witness("a", "X"), {**witness("a", "Y"), "name": "b"}], {}, "log.witness[1].name"),
        ([witness("a", "X", vkey="nonsense")], {}, "log.witness[0].vkey"),
        ([witness("a", "X", url="ftp://w.test")], {}, "log.witness[0].url"),
        ([witness("a", "X", prot=1)], {}, "log.witness[0]"),
        ([{"name": "a"}], {}, "log.witness[0]"),
    ],
)
def test_every_fault_names_its_key(witnesses: list[dict[str, Any]], log: dict[str, Any], key: str) -> None:
    """Said once, with the key."""
    with pytest.raises(ConfigError) as said:
        parsed(witnesses, **log)
    assert said.value.key.startswith(key), said.value
