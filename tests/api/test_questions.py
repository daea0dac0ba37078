"""Questions for the nearest unit are on record: who asked, for what, who was offered, over a kill; who looked at it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.site import ROSTER, Site
from tests.scenarios.gateway_process import GatewayProcess, free_port

HERE = "lat=52.57&lon=-0.24"


def on_disk(data: Path, number: int) -> list[dict[str, Any]]:
    """The record's lines, once there are so many."""
    ends_s = time.monotonic() + 5
    while time.monotonic() < ends_s:
        lines = [line for file in sorted((data / "asked").glob("*.jsonl")) for line in file.read_text().splitlines()]
        if len(lines) >= number:
            return [json.loads(line) for line in lines]
        time.sleep(0.01)
    raise AssertionError(f"{number} lines do not come")


def test_each_question_and_its_answer(tmp_path: Path) -> None:
    """By account, by unit offered, in pages; with a purpose, and only for who may."""
    with Site(tmp_path) as site:
        site.position("bcn-14", 52.5701)
        site.looked()
        mine, auditor = site.token("*"), site.token(user="auditor", role="auditor")
        with site.client(mine) as client, site.client(auditor) as eyes:
            answers = [client.get(f"/v1/units/nearest?{HERE}&power={power}") for power in ("pcn", "csas.alcohol", "no")]
            on_disk(site.gateway.settings.data, 3)
            told = eyes.get("/v1/audit/nearest?purpose=complaint+7").json()["questions"]
            assert [one["asked"]["power"] for one in told] == [["pcn"], ["csas.alcohol"], ["no"]]
            for one, answer in zip(told, answers, strict=True):
                assert [each["unit"] for each in one["offered"]] == [each["unit"] for each in answer.json()["results"]]
                assert (one["considered"], one["rejected"]) == (answer.json()["considered"], answer.json()["rejected"])
                assert one["account"] == "tester"
            assert "PCC.CSO-014" in [each["unit"] for each in told[0]["offered"]]
            offered = eyes.get("/v1/audit/nearest?purpose=p&unit=PCC.CSO-014").json()["questions"]
            assert [one["asked"]["power"] for one in offered] == [["pcn"]]
            assert eyes.get("/v1/audit/nearest?purpose=p&account=nobody").json()["questions"] == []
            page = eyes.get("/v1/audit/nearest?purpose=p&limit=2").json()
            rest = eyes.get(f"/v1/audit/nearest?purpose=p&limit=2&after={page['next']}").json()
            assert ([*page["questions"], *rest["questions"]], rest["next"]) == (told, None)
            for wrong in ("", "?purpose=%20"):
                assert eyes.get(f"/v1/audit/nearest{wrong}").status_code == 400
            backwards = "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"
            assert eyes.get(f"/v1/audit/nearest?purpose=p&{backwards}").status_code == 422
            acts = eyes.get("/v1/audit?purpose=q&kind=browse").json()["acts"]
            assert "complaint 7" in json.dumps(acts)
            assert "lapel_asked_written 3.0" in client.get("/metrics").text
        with site.client(site.token("feed:nearest", user="desk", role="controller")) as desk:
            assert desk.get("/v1/audit/nearest?purpose=p").status_code == 403


def test_none_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    """`asked_days = 0`."""
    with Site(tmp_path, feed={"asked_days": 0}) as site, site.client(site.token("*")) as client:
        assert client.get(f"/v1/units/nearest?{HERE}").status_code == 200
        assert client.get("/v1/audit/nearest?purpose=p").status_code == 404


@pytest.mark.timeout(60)
def test_over_a_kill_and_from_the_terminal(tmp_path: Path) -> None:
    """A feed-only gateway: what was asked before kill -9 is there, and `lapel asked` prints it."""
    (tmp_path / "roster.toml").write_text(ROSTER)
    port = free_port()
    gateway = GatewayProcess(
        tmp_path,
        f'[gateway]\ndata = "{tmp_path}/data"\n[roster]\nfile = "roster.toml"\n[evidence]\nenabled = false\n'
        f"[broker]\nembedded = true\nport = {port}\n[api]\nport = 0\n",
    )
    try:
        gateway.start().ready()
        headers = {"Authorization": f"Bearer {gateway.token()}"}
        with httpx.Client(base_url=gateway.address, headers=headers) as client:
            for limit in range(1, 21):
                assert client.get(f"/v1/units/nearest?{HERE}&limit={limit}").status_code == 200
        on_disk(tmp_path / "data", 20)
        gateway.kill()
        rows = [json.loads(line) for line in gateway.told("asked", "--json").splitlines()]
        assert [row["asked"]["limit"] for row in rows] == list(range(1, 21))
        assert {row["account"] for row in rows} == {"tester"}
        assert "52.57000, -0.24000" in gateway.told("asked", "--account", "tester").splitlines()[0]
        assert gateway.told("asked", "--unit", "PCC.CSO-014") == ""
        late = gateway.lapel("asked", "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z")
        assert late.returncode == 2
    finally:
        gateway.kill()
