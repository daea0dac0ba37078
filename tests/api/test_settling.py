"""The to-be-settled list: who sees it, who may look inside, and a named person's word that ends the doubt."""

from __future__ import annotations

import msgspec
import pytest

from gateway.domain.evidence import RecordingFin, RecordingKey, RecordingOffer, Segment
from gateway.domain.ids import DeviceId
from tests.api.site import Site, noise


class NoRights:
    """An authority under which no dock may speak for anyone."""

    def credentials(self, device):
        """None."""
        return ()

    def revoked(self, device):
        """None."""
        return False

    def speaks_for(self, dock, camera):
        """None may."""
        return False


CLIP = noise(30_000, 5)


@pytest.fixture
def site(tmp_path):
    """A gateway with one exhibit that a dock without the right has brought, and a sound one."""
    with Site(tmp_path) as site:
        half = site.gateway.evidence
        half.recordings._needs = msgspec.structs.replace(half.recordings._needs, rights=NoRights())
        site.strange = site.awaited(brought(half.recordings)).exhibit
        yield site


async def brought(sink):
    """A recording of cam-0042, brought by a dock."""
    key = RecordingKey(DeviceId("cam-0042"), "rec-9", DeviceId("dock-7"))
    await sink.begin(RecordingOffer(key, "clip.mp4", len(CLIP), via=DeviceId("dock-7")))
    await sink.keep(Segment(key, 0, CLIP))
    return await sink.finish(RecordingFin(key, len(CLIP)))


def test_the_list_is_for_those_who_may_settle(site: Site) -> None:
    """403 that names the permission; with it, what waits and nothing else."""
    with site.client(site.token(user="evidence_officer", role="evidence_officer")) as officer:
        refused = officer.get("/v1/exhibits", params={"settle": "true"})
        assert (refused.status_code, "evidence:settle" in refused.json()["detail"]) == (403, True)
        assert officer.get("/v1/exhibits").status_code == 200
    with site.client(site.token(user="evidence_supervisor", role="evidence_supervisor")) as supervisor:
        page = supervisor.get("/v1/exhibits", params={"settle": "true"}).json()
        assert site.strange in [each["id"] for each in page["exhibits"]]
        assert page["total"] == len(page["exhibits"])
        assert all(each["flags"] for each in page["exhibits"])


def test_restricted_content_is_for_those_who_may_settle(site: Site) -> None:
    """An officer may see content, not this one; once settled, this one too."""
    path = f"/v1/exhibits/{site.strange}"
    tokens = [site.token(user=role, role=role) for role in ("evidence_officer", "evidence_supervisor")]
    with site.client(tokens[0]) as officer, site.client(tokens[1]) as boss:
        refused = officer.get(f"{path}/content")
        assert (refused.status_code, "evidence:settle" in refused.json()["detail"]) == (403, True)
        assert boss.get(f"{path}/content").content == CLIP
        done = boss.post(f"{path}/settle", json={"by": "P-0014", "reason": "dock 7 is ours", "holder": "P-0015"})
        assert done.status_code == 200, done.text
        assert "settled:dock_not_entitled" in done.json()["flags"]
        assert done.json()["holder"] == "P-0015"
        assert officer.get(f"{path}/content").content == CLIP
        chain = boss.get(f"{path}/custody").json()["custody"]
        assert [each["kind"] for each in chain if each["kind"] == "attribute"] == ["attribute"]
        waiting = boss.get("/v1/exhibits", params={"settle": "true"}).json()["exhibits"]
        assert site.strange not in [each["id"] for each in waiting]
        again = boss.post(f"{path}/settle", json={"by": "P-0014", "reason": "again"})
        assert (again.status_code, "nothing to settle" in again.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"by": "P-NOBODY", "reason": "x"}, 422, "nobody in the roster"),
        ({"by": "P-0014", "reason": "x", "holder": "P-NOBODY"}, 422, "holder"),
        ({"by": "P-0014"}, 400, "reason"),
        ({"by": "P-0014", "reason": ""}, 400, "reason"),
        ({"by": "P-0014", "reason": "  "}, 409, "reason"),
        ({"by": "P-0014", "reason": "x", "flags": []}, 400, "flags"),
    ],
)
def test_a_word_that_settles_nothing(site: Site, body: dict, status: int, words: str) -> None:
    """Named, and nothing is on record."""
    with site.client(site.token(user="evidence_supervisor", role="evidence_supervisor")) as boss:
        answer = boss.post(f"/v1/exhibits/{site.strange}/settle", json=body)
        assert (answer.status_code, words in answer.text) == (status, True), answer.text
        kinds = [each["kind"] for each in boss.get(f"/v1/exhibits/{site.strange}/custody").json()["custody"]]
    assert kinds == ["receive", "seal", "view"]


def test_an_exhibit_that_is_not_there(site: Site) -> None:
    """404."""
    with site.client(site.token(user="evidence_supervisor", role="evidence_supervisor")) as boss:
        assert boss.post("/v1/exhibits/X-NO/settle", json={"by": "P-0014", "reason": "x"}).status_code == 404
