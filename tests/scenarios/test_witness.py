"""Witnesses as processes of their own: quorum, a witness that is away, a restore of yesterday, and the successor."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.scenarios.gateway_process import GatewayProcess, until
from tests.scenarios.witness_process import WitnessProcess, witnessed

ORIGIN = "pcc.test/log"


class Towns:
    """A gateway of PCC, and witnesses of CAMBS and FIRE."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "store"
        self.witnesses = [WitnessProcess(folder, name) for name in ("cambs", "fire")]
        self.keys = [witness.vkey() for witness in self.witnesses]
        named = [(w.name, w.url, key) for w, key in zip(self.witnesses, self.keys, strict=True)]
        self.gateway = GatewayProcess(folder, witnessed(self.data, ORIGIN, named, 2))

    @property
    def vkey(self) -> str:
        """The log's key, as it lies there."""
        return (self.data / "evidence/log/log.vkey").read_text().strip()

    def introduce(self, *vkeys: str) -> None:
        """Tell every witness these logs."""
        for witness in self.witnesses:
            witness.write({vkey.split("+")[0]: [vkey] for vkey in vkeys})

    def client(self) -> httpx.Client:
        """Somebody with a token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.gateway.address, headers=headers, timeout=20, trust_env=False)

    def go(self) -> None:
        """Start the gateway and sign in."""
        self.gateway.start().ready()
        if not hasattr(self, "token"):
            self.token = self.gateway.token()

    def cosigned(self, client: httpx.Client) -> int:
        """Size of the served checkpoint if both have cosigned it, else -1."""
        note = client.get("/v1/log/checkpoint").text
        return int(note.split("\n")[1]) if all(f"— {w.name}.test/witness " in note for w in self.witnesses) else -1


@pytest.fixture
def towns(tmp_path: Path) -> Iterator[Towns]:
    """Whatever was started is gone afterwards."""
    with contextlib.ExitStack() as stack:
        made = Towns(tmp_path)
        for process in (*made.witnesses, made.gateway):
            stack.callback(process.kill)
        yield made


def act(client: httpx.Client, times: int = 1) -> None:
    """Entries: each look at the list is one."""
    for _ in range(times):
        assert client.get("/v1/exhibits").status_code == 200


def test_from_the_first_cosignature_to_a_successor(towns: Towns) -> None:
    """Quorum; a witness away delays nobody; yesterday's store is refused; the successor verifies and is witnessed."""
    towns.go()  # nobody knows the log yet: refused with 404, and the gateway serves all the same
    towns.introduce(towns.vkey)
    first, second = (witness.start() for witness in towns.witnesses)
    with towns.client() as client:
        act(client, 3)
        until(lambda: towns.cosigned(client) >= 3, 90, "both cosign")
        first.kill()
        act(client, 3)
        assert client.get("/ready/evidence").status_code == 200
        until(lambda: "witness_down" in towns.gateway.log.read_text(), 20, "it is said that a witness is down")
        first.start()
        before = int((towns.data / "evidence/log/checkpoint").read_text().split("\n")[1])
        until(lambda: towns.cosigned(client) >= before, 90, "both cosign again")
        assert b"lapel_witness_cambs_up 1.0" in client.get("/metrics").content
    assert towns.gateway.terminate() == 0
    yesterday = towns.folder / "yesterday"
    shutil.copytree(towns.data, yesterday)
    towns.go()
    with towns.client() as client:
        act(client, 5)
        size = int((towns.data / "evidence/log/checkpoint").read_text().split("\n")[1])
        until(lambda: towns.cosigned(client) >= size, 90, "both cosign the day")
    assert towns.gateway.terminate() == 0
    told = json.loads(towns.gateway.told("log", "verify", "--json", "--vkey", towns.vkey, *pinned(towns)))
    assert told["counts"]["cosigned_entries"] == size

    shutil.rmtree(towns.data)
    shutil.copytree(yesterday, towns.data)
    towns.go()
    with towns.client() as client:
        assert client.get("/ready/evidence").status_code == 503
        assert client.get("/ready/feed").status_code == 200
        assert client.get("/v1/exhibits").status_code == 503
    (shut,) = towns.gateway.events("evidence_shut")
    assert "rolled back" in shut["problem"] or "halted" in shut["problem"]
    assert list((first.folder / "witness/refused").rglob("rollback-*.json"))
    assert towns.gateway.lapel("log", "recover", "--reason", "restore").returncode == 2  # it still runs
    assert towns.gateway.terminate() == 0

    begun = json.loads(towns.gateway.told("log", "recover", "--reason", "restore of yesterday's backup", "--json"))
    assert (begun["origin"], begun["missing"][0][1]) == (f"{ORIGIN}/g2", size)
    assert towns.gateway.lapel("log", "recover", "--reason", "again").returncode == 2
    for witness in towns.witnesses:
        witness.terminate()
    towns.introduce(towns.vkey)
    for witness in towns.witnesses:
        witness.start()
    towns.go()
    with towns.client() as client:
        assert client.get("/ready/evidence").status_code == 200
        act(client)
        until(lambda: towns.cosigned(client) >= begun["surviving"] + 1, 90, "both cosign the successor")
        assert client.get("/v1/log/checkpoint").text.startswith(f"{ORIGIN}/g2\n")
    assert towns.gateway.terminate() == 0
    told = json.loads(towns.gateway.told("evidence", "verify", "--all", "--json", *pinned(towns)))
    assert any(f"missing: {begun['missing'][0][0]} to {size - 1}" in note for note in told["notes"])
    second.terminate()


def pinned(towns: Towns) -> list[str]:
    """The witnesses' keys as an auditor brings them."""
    return [word for key in towns.keys for word in ("--witness", key)]


def test_a_witness_without_its_state_does_not_start(tmp_path: Path) -> None:
    """A key whose memory is gone would cosign a fork; so would two processes over one state."""
    witness = WitnessProcess(tmp_path, "cambs")
    key = witness.vkey()
    witness.start()
    second = witness.lapel()
    assert (second.returncode, b"another witness" in second.stderr) == (2, True)
    assert witness.terminate() == 0
    shutil.rmtree(witness.folder / "witness")
    lost = witness.lapel()
    assert (lost.returncode, b"bring the state back" in lost.stderr) == (2, True)
    (witness.folder / "witness.key").unlink()
    assert witness.vkey() != key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "a b"\nlog = []\n', b"name: "),
        ('name = "a"\n', b"log: is required"),
        ('name = "a"\nlog = []\nprot = 1\n', b"did you mean 'port'"),
        ('name = "a"\n[[log]]\norigin = "x"\nvkey = ["y"]\n', b"log[0].vkey: "),
        ('name = "a"\n[[log]]\norigin = "x"\nvkey = []\n', b"log[0]: "),
        ("name = ", b"is not TOML"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, said: bytes) -> None:
    """Exit 2, the file and the key, and nothing is made."""
    witness = WitnessProcess(tmp_path, "cambs")
    witness.config.write_text(text)
    done = witness.lapel()
    assert done.returncode == 2
    assert str(witness.config).encode() in done.stderr
    assert said in done.stderr
    assert not (witness.folder / "witness.key").exists()
