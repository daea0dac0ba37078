"""Every route, with and without its permission; tokens and sessions."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator

import httpx
import pytest

from gateway.api.identity import OPEN
from gateway.api.routing import Route
from gateway.api.server import table
from gateway.console import page
from gateway.settings import DEFAULT_ROLES as ROLES
from tests.api.site import Site

DECLARED_OPEN = {
    "GET /live",
    "GET /ready",
    "GET /ready/feed",
    "GET /ready/evidence",
    "POST /v1/session",
    "GET /v1/session",
    "DELETE /v1/session",
    "GET /",
    "GET /static/{name}",
    "GET /asyncapi.yaml",
}
"""What anybody may ask. A route that is not named here must name a permission."""
ROUTES = table(page.ROUTES).all
GUARDED = [route for route in ROUTES if route.permission != OPEN]
STREAMING = {"/v1/feed"}


def line(route: Route) -> str:
    """As it is declared."""
    return f"{route.method} {route.path}"


def path(route: Route) -> str:
    """A path that fits a route, of things that are not there."""
    return re.sub(r"\{(\w+)(?::[^{}]+)?\}", "0", route.path)


def ask(client: httpx.Client, route: Route) -> int:
    """Status of a bare request; a stream is left after its head."""
    with client.stream(route.method, path(route)) as response:
        if route.path not in STREAMING:
            response.read()
        return response.status_code


def test_nothing_is_open_by_mistake() -> None:
    """A new route that forgets its permission is caught here."""
    assert {line(route) for route in ROUTES if route.permission == OPEN} == DECLARED_OPEN


def test_permissions_have_one_form() -> None:
    """`room:act`; a typing error would make a permission that no role grants."""
    granted = {name for names in ROLES.values() for name in names} - {"*"}
    for route in GUARDED:
        assert re.fullmatch(r"[a-z]+:[a-z]+", route.permission), line(route)
        assert route.permission in granted, f"no built-in role but the administrator's may {line(route)}"


@pytest.mark.parametrize("route", GUARDED, ids=line)
def test_without_credentials(shared_site: Site, route: Route) -> None:
    """401, with the scheme to use."""
    with shared_site.client() as client:
        response = client.request(route.method, path(route))
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("route", GUARDED, ids=line)
def test_without_the_permission(shared_site: Site, route: Route) -> None:
    """403 that names it, for a token that may everything else."""
    others = sorted({each.permission for each in GUARDED} - {route.permission})
    with shared_site.client(shared_site.token(*others)) as client:
        response = client.request(route.method, path(route))
    assert response.status_code == 403
    assert response.json()["permission"] == route.permission


@pytest.mark.parametrize("route", GUARDED, ids=line)
def test_with_the_permission(shared_site: Site, route: Route) -> None:
    """Whatever else is wrong with the request, it is not refused, and nothing breaks."""
    with shared_site.client(shared_site.token(route.permission)) as client:
        status = ask(client, route)
    assert status not in (401, 403)
    assert status < 500


@pytest.mark.parametrize("route", [route for route in ROUTES if route.permission == OPEN], ids=line)
def test_open_routes(shared_site: Site, route: Route) -> None:
    """They answer anybody; signing in and asking who one is say 401 for themselves."""
    with shared_site.client() as client:
        status = ask(client, route)
    assert status != 403
    assert (status == 401) == (line(route) == "GET /v1/session")


def test_built_in_roles(shared_site: Site) -> None:
    """A controller sees units and no evidence; an auditor proves and does not play; a consumer acts on nothing."""
    allowed = {
        "controller": {"/v1/units": 200, "/v1/exhibits": 403, "/v1/devices": 200, "/v1/log/checkpoint": 403},
        "auditor": {"/v1/units": 403, "/v1/exhibits": 200, "/v1/exhibits/X/content": 403, "/v1/log/checkpoint": 200},
        "evidence_officer": {"/v1/exhibits/X/content": 404, "/v1/log/tile/entries/000": 403},
        "consumer": {"/v1/units": 200, "/v1/devices": 403, "/v1/exhibits": 403},
    }
    for role, expected in allowed.items():
        with shared_site.client(shared_site.token(user=role, role=role)) as client:
            assert {place: client.get(place).status_code for place in expected} == expected
    with shared_site.client(shared_site.token(user="consumer", role="consumer")) as client:
        assert client.post("/v1/emergencies", json={"unit": "PCC.CSO-014"}).status_code == 403


def test_a_scope_never_widens(shared_site: Site) -> None:
    """A token scoped to more than its user's roles allow may not more than they."""
    token = shared_site.token("feed:read", "evidence:read", "*", user="narrow", role="consumer")
    with shared_site.client(token) as client:
        assert client.get("/v1/units").status_code == 200
        assert client.get("/v1/units/nearest?lat=0&lon=0").status_code == 403
        assert client.get("/v1/exhibits").status_code == 403
        assert client.get("/v1/session").json()["permissions"] == ["feed:read"]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer lpl_",
        "Bearer lpl_0_0",
        "Bearer lpl_ffffffffffff_AAAA",
        "Basic dGVzdGVyOng=",
        "token",
    ],
)
def test_wrong_credentials(shared_site: Site, header: str) -> None:
    """401, never an error of ours."""
    with shared_site.client() as client:
        assert client.get("/v1/units", headers={"Authorization": header.strip() or header}).status_code == 401


def test_a_token_with_another_secret(shared_site: Site) -> None:
    """The id of a good token with another's secret is none."""
    one, two = shared_site.token(), shared_site.token()
    mixed = "_".join([*one.split("_", 2)[:2], two.split("_", 2)[2]])
    with shared_site.client(mixed) as client:
        assert client.get("/v1/units").status_code == 401


def test_expired_revoked_disabled(shared_site: Site) -> None:
    """Each ends a token at once, also one that was just used."""
    short, ends_s = shared_site.token(days=3 / 86400), time.monotonic() + 3.1
    revoked = shared_site.token()
    disabled = shared_site.token(user="leaver")
    for token in (short, revoked, disabled):
        with shared_site.client(token) as client:
            assert client.get("/v1/units").status_code == 200
    time.sleep(max(0.0, ends_s - time.monotonic()))
    shared_site.revoke(revoked)
    shared_site.disable("leaver")
    for token in (short, revoked, disabled):
        with shared_site.client(token) as client:
            assert client.get("/v1/units").status_code == 401


@contextlib.contextmanager
def signed_in(site: Site, token: str) -> Iterator[httpx.Client]:
    """A browser that has signed in."""
    with site.client() as client:
        response = client.post("/v1/session", json={"token": token})
        assert response.status_code == 200, response.text
        yield client


def test_the_cookie(shared_site: Site) -> None:
    """HttpOnly, SameSite=Strict, for the whole site, as long as the session; it is not the token."""
    token = shared_site.token()
    with shared_site.client() as client:
        cookie = client.post("/v1/session", json={"token": token}).headers["Set-Cookie"]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", f"max-age={12 * 3600}"} <= parts
    assert token.split("_", 2)[2] not in cookie


def test_session_length_is_configured(tmp_path) -> None:
    """[auth] session_hours holds for the cookie and for the gateway."""
    with Site(tmp_path, auth={"session_hours": 0.0003}) as site:
        with signed_in(site, site.token()) as client:
            assert client.get("/v1/units").status_code == 200
            cookie = next(iter(client.cookies.jar)).value
            time.sleep(1.2)
            assert client.get("/v1/units", headers={"Cookie": f"lapel_session={cookie}"}).status_code == 401
        with site.client() as client:
            said = client.post("/v1/session", json={"token": site.token()}).headers["Set-Cookie"]
    assert "max-age=1;" in f"{said.lower()};"


def test_other_sites(shared_site: Site) -> None:
    """A request that changes something must come from our own page: acting, signing in, signing out."""
    with signed_in(shared_site, shared_site.token()) as client:
        own, other = shared_site.url, "https://evil.example"
        for origin, expected in ((own, 201), (other, 403), ("null", 403)):
            response = client.post("/v1/emergencies", json={"unit": "PCC.CSO-014"}, headers={"Origin": origin})
            assert response.status_code == expected, origin
        assert client.delete("/v1/session", headers={"Origin": other}).status_code == 403
        assert client.get("/v1/session").status_code == 200
        assert client.get("/v1/units", headers={"Origin": other}).status_code == 200
    with shared_site.client() as client:
        wrong = client.post("/v1/session", json={"token": shared_site.token()}, headers={"Origin": other})
        assert (wrong.status_code, "Set-Cookie" in wrong.headers) == (403, False)


def test_a_token_from_another_site(shared_site: Site) -> None:
    """A program that sends its token is no browser's cookie: its Origin does not matter."""
    with shared_site.client(shared_site.token()) as client:
        headers = {"Origin": "https://dispatch.example"}
        assert client.post("/v1/emergencies", json={"unit": "PCC.CSO-014"}, headers=headers).status_code == 201


def test_signing_out(shared_site: Site) -> None:
    """The cookie is worth nothing afterwards, also to somebody who kept a copy."""
    with signed_in(shared_site, shared_site.token()) as client:
        copy = dict(client.cookies)
        assert client.get("/v1/session").json()["account"] == "tester"
        assert client.delete("/v1/session").status_code == 204
        assert not client.cookies
        assert client.get("/v1/units").status_code == 401
    with shared_site.client(cookies=copy) as client:
        assert client.get("/v1/units").status_code == 401


def test_a_session_ends_with_its_token(shared_site: Site) -> None:
    """Revoking the token ends the session; the page, its files and signing out work all the same."""
    token = shared_site.token()
    with signed_in(shared_site, token) as client:
        shared_site.revoke(token)
        assert client.get("/v1/units").status_code == 401
        assert client.get("/").status_code == 200
        assert client.get("/static/page.js").status_code == 200
        assert client.get("/live").status_code == 200
        assert client.delete("/v1/session").status_code == 204


def test_failed_sign_ins_are_on_record_and_do_not_flood(site: Site) -> None:
    """One entry for the first, however many follow at once; the token's text is nowhere in it."""
    custody = site.gateway.evidence.records.custody
    before = custody.size
    with site.client() as client:
        for _ in range(5):
            assert client.post("/v1/session", json={"token": "lpl_000000000000_guess"}).status_code == 401
    assert custody.size == before + 1
    detail, _ = custody.detail(before)
    assert detail["from"] == {"127.0.0.1": 1}
    assert b"login_failed" in custody.leaf(before)
    assert "guess" not in str(detail)


def test_security_headers_on_every_kind_of_answer(shared_site: Site) -> None:
    """Pages, JSON, problems, streams, recordings."""
    exhibit = shared_site.seal(b"film", "headers").exhibit
    with shared_site.client(shared_site.token()) as client:
        for place in ("/", "/v1/units", "/nowhere", "/v1/feed", f"/v1/exhibits/{exhibit}/content"):
            with client.stream("GET", place) as response:
                assert response.headers["X-Content-Type-Options"] == "nosniff", place
                assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"], place
                assert response.headers["Referrer-Policy"] == "no-referrer", place
                assert "no-" in response.headers["Cache-Control"], place
