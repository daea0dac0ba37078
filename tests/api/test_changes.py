"""What has changed behind a cursor, answer by answer: `GET /v1/units?after=`."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from tests.api.site import Site


async def test_after_answers_what_has_changed(site: Site) -> None:
    """The long-poll: the whole, then what changes behind the cursor, at once or when it comes; nothing in time."""
    site.position("bcn-14", 52.57)

    def at(stream: dict[str, Any]) -> str:
        return f"{stream['lapel:stream']['epoch']}-{stream['lapel:stream']['seq']}"

    with site.client(site.token()) as client:
        time.sleep(0.1)
        whole = client.get("/v1/units").json()
        began = time.monotonic()
        nothing = client.get("/v1/units", params={"after": at(whole), "wait_s": 0.3}).json()
        assert time.monotonic() - began >= 0.3
        assert (nothing["features"], at(nothing), nothing["lapel:whole"]) == ([], at(whole), False)
        site.position("bcn-14", 52.5701)
        site.status(11, 2341015)
        changed = client.get("/v1/units", params={"after": at(whole)}).json()
        got = {one["id"]: one["geometry"] for one in changed["features"]}
        if "PCC.CSO-014" not in got:  # its tick had not come
            changed = client.get("/v1/units", params={"after": at(changed)}).json()
            got = {one["id"]: one["geometry"] for one in changed["features"]}
        assert got["PCC.CSO-014"]["coordinates"][1] == 52.5701
        since = client.get("/v1/units", params={"after": at(whole)}).json()
        assert "PCC.CSO-015" in since["lapel:removed"]
        assert ("duty", 11) in [(one["event"], one["record"].get("code")) for one in since["lapel:records"]]
        assert client.get("/v1/units", params={"after": "OTHER-5"}).json()["lapel:whole"] is True
        wrong = client.get("/v1/units", params={"after": "yesterday"})
        assert (wrong.status_code, "after" in wrong.json()["detail"]) == (400, True)
        assert site.within(site.gateway.feed.stats)["consumers"] == 0


async def test_after_hears_an_alarm_at_once(site: Site) -> None:
    """One who waits is answered when the button is pressed."""
    token = site.token()

    def wait() -> tuple[float, dict[str, Any]]:
        with site.client(token) as client:
            stream = client.get("/v1/units").json()["lapel:stream"]
            body = client.get("/v1/units", params={"after": f"{stream['epoch']}-{stream['seq']}"}).json()
            return time.monotonic(), body

    waiting = asyncio.get_running_loop().run_in_executor(None, wait)
    while not site.within(site.gateway.feed.stats)["consumers"]:
        await asyncio.sleep(0.02)
    pressed = time.monotonic()
    await asyncio.to_thread(site.press, "bcn-15")
    answered, body = await waiting
    assert answered - pressed < 1
    assert [one["event"] for one in body["lapel:records"]][:1] == ["emergency"]
    assert json.dumps(body["lapel:records"]).count("beacon_sos") >= 1
