"""What is told afterwards: what a sitting was sent, downloads, failed log-ins, sessions; and the audit over it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog

from gateway.api import afterwards
from gateway.api.afterwards import Failures, Playbacks
from gateway.domain.ids import ExhibitId
from gateway.errors import StoreBusyError
from gateway.evidence.rows import Exhibit
from gateway.evidence.work.playback import Sitting
from tests.api.site import Site, noise

FILM = noise(400_000, 3)


def told(site: Site, kind: str) -> list[dict[str, Any]]:
    """Details of the entries of a kind."""
    log = site.gateway.evidence.records.custody
    return [log.detail(n)[0] for n in range(log.size) if json.loads(log.leaf(n))["kind"] == kind]


def after_close(site: Site, kind: str) -> list[dict[str, Any]]:
    """As `told`, of a gateway that was closed and opened again."""
    with site:
        return told(site, kind)


def test_what_was_seen_is_told_when_the_gateway_closes(tmp_path) -> None:
    """Forty ranges of two places: seconds by the length, merged; a second `play` with its session."""
    site = Site(tmp_path)
    with site:
        exhibit = site.seal(FILM, "film").exhibit
        site.examined(exhibit, duration_s=100.0)
        with site.client(site.token()) as client:
            for at in [*range(0, 80_000, 4_000), *range(200_000, 280_000, 4_000)]:
                client.get(f"/v1/exhibits/{exhibit}/content", headers={"Range": f"bytes={at}-{at + 3999}"})
        assert [sorted(each.keys() & {"from_byte", "covered"}) for each in told(site, "play")] == [["from_byte"]]
    begun, ended = after_close(site, "play")
    assert ended["covered"] == [[0, 20], [50, 70]]
    assert (ended["session"], ended["actor"]) == (begun["session"], "tester")


def test_bytes_where_nobody_knows_the_length(tmp_path) -> None:
    """Half-open spans of bytes; a download is none of it."""
    site = Site(tmp_path)
    with site:
        exhibit = site.seal(FILM, "film").exhibit
        with site.client(site.token()) as client:
            client.get(f"/v1/exhibits/{exhibit}/content", headers={"Range": "bytes=10-99"})
            client.get(f"/v1/exhibits/{exhibit}/content?download=1&purpose=x")
    assert after_close(site, "play")[-1]["covered_bytes"] == [[10, 100]]


def test_a_sitting_that_ends(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told without anybody closing anything; the next sitting is told of by itself."""
    monkeypatch.setattr(afterwards, "SITTING", timedelta(0))
    exhibit = site.seal(FILM, "film").exhibit
    covered: list[Any] = []
    with site.client(site.token()) as client:
        for first in (0, 20):
            client.get(f"/v1/exhibits/{exhibit}/content", headers={"Range": f"bytes={first}-{first + 9}"})
            known, ends_s = len(covered), time.monotonic() + 10
            while len(covered) == known:  # what was sent is noted behind the answer
                assert time.monotonic() < ends_s, "no sitting ended"
                site.awaited(site.gateway.server._put_on_record(datetime.now(UTC)))
                covered = [each["covered_bytes"] for each in told(site, "play") if "covered_bytes" in each]
    assert covered == [[[0, 10]], [[20, 30]]]


def test_a_log_that_will_not_now(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be told is told the next time, once."""
    exhibit = site.seal(FILM, "film").exhibit
    custody, server = site.gateway.evidence.records.custody, site.gateway.server

    async def busy(_act: object) -> None:
        raise StoreBusyError("full")

    with site.client(site.token()) as client:
        client.get(f"/v1/exhibits/{exhibit}/content", headers={"Range": "bytes=0-9"})
        later = datetime.now(UTC) + timedelta(hours=1)
        with monkeypatch.context() as patch:
            patch.setattr(custody, "record", busy)
            site.awaited(server._put_on_record(later))
        for _ in range(2):
            site.awaited(server._put_on_record(later))
    assert [each["covered_bytes"] for each in told(site, "play")[1:]] == [[[0, 10]]]


def test_a_viewer_who_goes_away(tmp_path) -> None:
    """What was handed over counts, not what was asked for."""
    site, film = Site(tmp_path), noise(40_000_000, 4)
    with site:
        exhibit = site.seal(film, "long").exhibit
        with (
            site.client(site.token()) as client,
            client.stream("GET", f"/v1/exhibits/{exhibit}/content") as response,
        ):
            next(response.iter_raw(1))
    ((start, end),) = after_close(site, "play")[-1]["covered_bytes"]
    assert start == 0
    assert 0 < end < len(film)


def test_a_download(shared_site: Site) -> None:
    """Asked for its purpose, on record with it before the first byte, named as a file; for those who may."""
    exhibit = shared_site.seal(FILM, "taken").exhibit
    place = f"/v1/exhibits/{exhibit}/content"
    with shared_site.client(shared_site.token(user="boss", role="evidence_supervisor")) as boss:
        for query in ("?download=1", "?download=1&purpose=%20"):
            refused = boss.get(place + query)
            assert (refused.status_code, "purpose" in refused.json()["detail"]) == (422, True)
        answer = boss.get(f"{place}?download=1&purpose=interview")
        assert (answer.content == FILM, answer.status_code) == (True, 200)
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{exhibit}.mp4"'
        assert boss.get(f"{place}?downlaod=1").status_code == 400
        kinds = [each["kind"] for each in boss.get(f"/v1/exhibits/{exhibit}/custody").json()["custody"]]
    assert kinds == ["receive", "seal", "download", "view"]
    (entry,) = told(shared_site, "download")
    assert (entry["purpose"], entry["bytes"], entry["actor"]) == ("interview", len(FILM), "boss")
    with shared_site.client(shared_site.token(user="officer", role="evidence_officer")) as officer:
        refused = officer.get(f"{place}?download=1&purpose=x")
        assert (refused.status_code, "evidence:download" in refused.json()["detail"]) == (403, True)


# --- log-ins


def test_sessions_are_on_record(site: Site) -> None:
    """Their beginning and their end, whose and from where; never the token."""
    token = site.token(user="ann")
    with site.client() as client:
        assert client.post("/v1/session", json={"token": token}).status_code == 200
        assert client.delete("/v1/session").status_code == 204
    acts = [(each["act"], each["account"], each["from"]) for each in told(site, "account")]
    assert acts == [("session", "ann", "127.0.0.1"), ("session_end", "ann", "127.0.0.1")]
    assert token.split("_", 2)[2] not in str(told(site, "account"))


def test_a_log_that_is_full_keeps_nobody_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signing in works without its entry: the page has positions on it."""

    async def busy(_act: object) -> None:
        raise StoreBusyError("full")

    token = site.token(user="ann")
    monkeypatch.setattr(site.gateway.evidence.records.custody, "record", busy)
    with site.client() as client:
        assert client.post("/v1/session", json={"token": "lpl_x_y"}).status_code == 401
        assert client.post("/v1/session", json={"token": token}).status_code == 200
        assert client.get("/v1/units").status_code == 200


def test_wrong_bearer_tokens_count_as_failed(site: Site) -> None:
    """With the account whose token it claims to be; a stranger under a pseudonym; a flood is two entries."""
    token = site.token(user="ann")
    site.revoke(token)
    strangers = ["letmein", "letmein", "lpl_0000_hunter2"]
    with site.client() as client:
        for text in [token, *strangers, *["lpl_1_2"] * 50]:
            assert client.get("/v1/units", headers={"Authorization": f"Bearer {text}"}).status_code == 401
    assert [each["account"] for each in told(site, "login_failed")] == [{"ann": 1}]
    site.awaited(site.gateway.server._put_on_record(datetime.now(UTC) + timedelta(minutes=1)))
    _, rest = told(site, "login_failed")
    assert (rest["attempts"], rest["from"]) == (53, {"127.0.0.1": 53})
    assert sorted(rest["account"].values()) == [1, 2, 50]
    assert all(name.startswith("unknown-") for name in rest["account"])
    for secret in ("letmein", "hunter2", token.split("_", 2)[2]):
        assert secret not in str(told(site, "login_failed"))


def test_failures_are_bounded() -> None:
    """So many names and no more; one entry a minute; nothing is lost when the log will not."""
    failures, now = Failures(), datetime(2026, 11, 21, tzinfo=UTC)
    for number in range(1000):
        failures.note(f"text-{number}", None, f"10.0.{number // 256}.{number % 256}")
    act = failures.take(now)
    assert (act.detail["attempts"], len(act.detail["account"]), len(act.detail["from"])) == (1000, 21, 21)
    assert sum(act.detail["account"].values()) == 1000
    failures.put_back(act)
    failures.note("text-1", None, None)
    assert failures.take(now + timedelta(seconds=59)) is None
    assert failures.take(now + timedelta(seconds=60)).detail["attempts"] == 1001
    assert failures.take(now + timedelta(hours=1)) is None


def test_open_sittings_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many the one longest idle is told of at once; one of too many gaps likewise."""
    monkeypatch.setattr(afterwards, "MOST_PLAYED", 2)
    playbacks, row = Playbacks(), Exhibit(id="X", size=1 << 40)
    sittings = [Sitting("ann", "s", str(ExhibitId(f"X-{n}"))) for n in range(3)]
    for sitting in sittings:
        playbacks.sent(sitting, row, 0, 1)
    (oldest,) = playbacks.over(datetime.now(UTC))
    assert oldest[0] == sittings[0]
    playbacks.written(*oldest)
    for n in range(5000):
        playbacks.sent(sittings[2], row, 10 * n, 10 * n + 1)
    ((sitting, played),) = playbacks.over(datetime.now(UTC))
    assert (sitting, len(played.spans)) == (sittings[2], 4096)
    playbacks.written(sitting, played)
    assert sum(len(played.spans) for _, played in playbacks.over(None)) == 1 + 5000 - 4096


def test_what_waits_for_a_broken_log_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are dropped, loudly."""
    monkeypatch.setattr(afterwards, "MOST_PLAYED", 3)
    playbacks, row = Playbacks(), Exhibit(id="X", size=100)
    with structlog.testing.capture_logs() as said:
        for n in range(5):
            playbacks.sent(Sitting("ann", "s", f"X-{n}"), row, 0, 1)
            playbacks.over(None)
    assert [sitting.exhibit for sitting, _ in playbacks.over(None)] == ["X-2", "X-3", "X-4"]
    assert [(each["event"], each["exhibit"]) for each in said] == [
        ("playback_dropped", "X-0"),
        ("playback_dropped", "X-1"),
    ]


# --- the audit


def asked(client: httpx.Client, **query: Any) -> dict[str, Any]:
    """One page."""
    answer = client.get("/v1/audit", params={"purpose": "monthly", **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_audit(site: Site) -> None:
    """By kind, verb, actor, exhibit and span, paged; each question on record with its purpose; for auditors."""
    exhibit = site.seal(FILM, "audited").exhibit
    with site.client(site.token(user="boss")) as boss:
        boss.post(f"/v1/exhibits/{exhibit}/hold", json={"reason": "court"})
        to = {"recipient": "CPS", "legal_gateway": "CPIA", "purpose": "trial"}
        boss.post(f"/v1/exhibits/{exhibit}/transfer", json=to)
        boss.get(f"/v1/exhibits/{exhibit}")
    with site.client(site.token(user="aud", role="auditor")) as auditor:
        assert auditor.get("/v1/audit").status_code == 400
        assert auditor.get("/v1/audit?purpose=%20").status_code == 400
        assert auditor.get("/v1/audit?purpose=x&verb=gossip").status_code == 400
        (act,) = asked(auditor, verb="disclosure")["acts"]
        assert (act["kind"], act["recipient"], act["justification"], act["actor"]) == (
            *("transfer", "CPS", "trial", "boss"),
        )
        assert [each["kind"] for each in asked(auditor, kind="hold,seal")["acts"]] == ["seal", "hold"]
        whole = asked(auditor, exhibit=exhibit)["acts"]
        assert [each["kind"] for each in whole] == ["receive", "seal", "hold", "transfer", "view"]
        paged, after = [], None
        while after is not None or not paged:
            page = asked(auditor, exhibit=exhibit, limit=2, **({} if after is None else {"after": after}))
            paged, after = [*paged, *page["acts"]], page["next"]
        assert paged == whole
        assert asked(auditor, actor="boss", to="2020-01-01T00:00:00Z")["acts"] == []
        assert len(asked(auditor, actor="boss", **{"from": "2020-01-01T00:00:00Z"})["acts"]) == 3
        mine = asked(auditor, actor="aud", verb="consultation")["acts"]
        assert {each["justification"] for each in mine} == {"monthly"}
    with site.client(site.token(user="s", role="evidence_supervisor")) as boss:
        assert boss.get("/v1/audit?purpose=x").status_code == 403
