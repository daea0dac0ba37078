"""The page in a real browser, over a real gateway: it shows what happens as it happens, and nothing is out of reach."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gateway.domain.evidence import Act
from tests import peers
from tests.api.site import Site, noise

CHROMIUM = Path(os.environ.get("LAPEL_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
]
SIZES = [(1440, 900), (1024, 768), (390, 844)]
CONTRAST = 4.5
"""WCAG 2.2, 1.4.3, for text of ordinary size."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    if not CHROMIUM.exists():
        peers.left_out(f"the page in a browser ({CHROMIUM} is not installed)")
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield opened
        opened.close()


class Visit:
    """One browser window, and everything it complained of or asked of others."""

    def __init__(self, browser: Browser, site: Site, **more: Any) -> None:
        self._context = browser.new_context(**more)
        self.page: Page = self._context.new_page()
        self.site, self.wrong, self.loads = site, [], 0
        self.page.on(
            "console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.site.url, "data:")):
            self.wrong.append(f"asked {request.url}")
        self.loads += request.is_navigation_request()

    def sign_in(self, token: str) -> Page:
        """As a person does it."""
        self.page.goto(self.site.url)
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()
        return self.page

    def close(self) -> None:
        """Nothing was wrong all the while."""
        self._context.close()
        assert self.wrong == []


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Visit]:
    """A window on a gateway of one's own."""
    opened = Visit(browser, site, viewport={"width": 1440, "height": 900})
    yield opened
    opened.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A gateway of one's own."""
    with Site(tmp_path) as opened:
        yield opened


def row(page: Page, callsign: str) -> Any:
    """A unit's row."""
    return page.locator("#units tr").filter(has_text=callsign)


def test_a_shift_on_the_page(visit: Visit, site: Site) -> None:
    """Positions, duty, recordings, an emergency and a message appear by themselves; the page is loaded once."""
    page = visit.sign_in(site.token())
    expect(page.locator("#link")).to_have_text("live")
    expect(page.locator("#units tr")).to_have_count(3)
    expect(row(page, "CSO14")).to_contain_text("none yet")
    site.position("bcn-14", 52.57391, -0.24031)
    expect(row(page, "CSO14")).to_contain_text("52.57391, -0.24031")
    site.position("bcn-14", 52.57400, -0.24050)
    expect(row(page, "CSO14")).to_contain_text("52.57400, -0.24050")
    site.status(5)
    expect(row(page, "CSO14")).to_contain_text("en route")
    site.text("at the bandstand")
    expect(page.locator("#messages")).to_contain_text("at the bandstand")
    sealed = site.seal(noise(70_000))
    expect(page.locator("#exhibits tr")).to_contain_text(sealed.exhibit)
    expect(page.locator("#exhibits tr")).to_contain_text(f"#{sealed.log_index}")
    expect(page.locator("#log-size")).to_have_text(re.compile(r"[0-9]+"))
    site.tell("recording_started", recording="never-sent", n=9, age_s=100_000.0)
    site.tell("recording_stopped", recording="never-sent", n=9, age_s=99_000.0)
    site.tell("status", battery_pct=4)
    expect(page.locator("#expected li")).to_contain_text("never-sent")
    expect(page.locator("#expected-count")).to_have_text("1 to settle, 0 waited for")
    expect(page.locator("#cameras li")).to_have_text("cam-0042 (4 %): battery low")
    assert page.locator(".alarm").count() == 0
    site.press("bcn-14")
    expect(page.locator(".alarm")).to_contain_text("EMERGENCY CSO14")
    expect(page.locator("#units tr").first).to_have_class("emergency")
    expect(page).to_have_title("(1) Lapel")
    page.get_by_role("button", name="Acknowledge emergency of CSO14").click()
    expect(page.locator(".alarm")).to_contain_text("with tester")
    page.get_by_role("button", name="Clear emergency of CSO14").click()
    page.get_by_role("button", name="Not over").click()
    expect(page.locator(".alarm")).to_have_count(1)
    page.get_by_role("button", name="Clear emergency of CSO14").click()
    page.get_by_role("dialog").get_by_role("button", name="False activation").click()
    expect(page.locator(".alarm")).to_have_count(0)
    with site.client(site.token()) as client:
        assert client.get("/v1/emergencies").json()["emergencies"][0]["outcome"] == "false_activation"
    site.status(11)
    expect(row(page, "CSO14")).to_have_count(0)
    assert visit.loads == 1


def test_a_still_of_a_recording(visit: Visit, site: Site) -> None:
    """Where there is a thumbnail it is shown, to who may see the recording; what does not play to its end says so."""
    peers.program("ffmpeg")
    make = "ffmpeg -v error -f lavfi -i testsrc2=size=320x180 -frames:v 1 -c:v mjpeg -f image2pipe pipe:1"
    picture = subprocess.run(make.split(), capture_output=True, check=True, stdin=subprocess.DEVNULL).stdout
    sealed, plain = site.seal(noise(70_000)).exhibit, site.seal(noise(80_000), "plain").exhibit
    site.examined(sealed, picture, playable="partial", duration_s=97.0)
    page = visit.sign_in(site.token())
    still = page.get_by_alt_text(f"Still of {sealed}")
    expect(still).to_be_visible()
    assert still.evaluate("image => image.decode().then(() => image.naturalWidth)") == 320
    expect(page.locator("#exhibits tr").filter(has_text=sealed)).to_contain_text("partial")
    expect(page.locator("#exhibits tr").filter(has_text=sealed)).to_contain_text("97 s")
    assert page.locator("#exhibits tr").filter(has_text=plain).locator("img").count() == 0


def test_no_still_of_what_is_to_be_settled(visit: Visit, site: Site) -> None:
    """It would be refused: who may not settle is not even asked for it; who may sees it."""
    sealed, plain = site.seal(noise(70_000)).exhibit, site.seal(noise(80_000), "plain").exhibit
    for exhibit in (sealed, plain):
        site.examined(exhibit)
    custody = site.gateway.evidence.records.custody  # type: ignore[union-attr]
    site.awaited(custody.record(Act("amend", "cli:test", sealed, detail={"flags": ["device_revoked"]})))
    page = visit.sign_in(site.token(user="officer", role="evidence_officer"))
    rows = page.locator("#exhibits tr")
    expect(rows.filter(has_text=sealed)).to_be_visible()
    pictures: list[str] = []
    page.on("request", lambda request: pictures.append(request.url))
    page.reload()
    expect(rows.filter(has_text=sealed)).to_be_visible()
    expect(rows.filter(has_text=plain)).to_be_visible()
    page.wait_for_load_state("networkidle")
    asked = [url.split("/")[-2] for url in pictures if url.endswith("/thumbnail")]
    assert asked == [plain]


def test_signing_in_and_out(visit: Visit, site: Site) -> None:
    """A wrong token is said; a reload stays signed in; signing out asks anew and leaves nothing."""
    page = visit.sign_in("lpl_0_wrong")
    expect(page.get_by_role("alert")).to_have_text("This token is unknown, expired or revoked.")
    visit.wrong.clear()  # a browser notes every 401
    visit.sign_in(site.token())
    expect(page.locator("#who")).to_have_text("tester")
    page.reload()
    expect(page.locator("#who")).to_have_text("tester")
    assert "lpl_" not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    assert page.context.cookies() == []


def test_only_what_one_may_see(visit: Visit, site: Site) -> None:
    """An evidence officer's page has recordings and no units; it asks for nothing that would be refused."""
    page = visit.sign_in(site.token(user="officer", role="evidence_officer"))
    expect(page.get_by_role("heading", name="Recordings")).to_be_visible()
    expect(page.get_by_role("heading", name="Units")).to_be_hidden()
    page.wait_for_timeout(2500)


def test_words_of_devices_stay_words(visit: Visit, site: Site) -> None:
    """A text that looks like markup is shown, not run."""
    page = visit.sign_in(site.token())
    site.text("<img src=x onerror=alert(1)><b>bold</b>")
    expect(page.locator("#messages")).to_contain_text("<img src=x onerror=alert(1)><b>bold</b>")
    assert page.locator("#messages img, #messages b").count() == 0


def test_a_gateway_that_goes_and_comes(browser: Browser, tmp_path: Path) -> None:
    """The page says that what it shows is old; when the gateway is back, so is it, by itself."""
    with Site(tmp_path) as first:
        port = first.gateway.api_port
        token = first.token()
        visit = Visit(browser, first)
        page = visit.sign_in(token)
        expect(page.locator("#link")).to_have_text("live")
    expect(page.locator("#link")).to_contain_text("no connection, as of", timeout=10_000)
    visit.wrong.clear()
    with Site(tmp_path, api={"port": port}) as second:
        # Sessions live in memory: the page asks to sign in again rather than to show what is old.
        expect(page.get_by_label("Token")).to_be_visible(timeout=15_000)
        visit.wrong.clear()
        visit.sign_in(token)
        second.position("bcn-14", 52.5)
        expect(row(page, "CSO14")).to_contain_text("52.50000")
        visit.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_fits_and_reads(browser: Browser, site: Site, scheme: str, size: tuple[int, int]) -> None:
    """Nothing beyond the window's edge, contrast of every text, names of all that can be pressed or filled in."""
    site.position("bcn-14")
    site.press("bcn-14")
    site.position("bcn-15", age_s=200)
    site.status(2, 2341015)
    site.text("Parking complaint at the corner of Bridge Street and Cattle Market Road dealt with")
    site.seal(noise(1000))
    visit = Visit(browser, site, viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    visit.page.goto(site.url)
    check(visit.page)
    page = visit.sign_in(site.token())
    expect(page.locator(".alarm")).to_be_visible()
    expect(page.locator("#exhibits tr")).to_be_visible()
    expect(page.locator("#messages")).to_contain_text("Parking")
    check(page)
    visit.close()


def check(page: Page) -> None:
    """The basics of accessibility, measured."""
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate("document.documentElement.lang") == "en-GB"
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(HEADINGS) == [1, *[2] * (len(page.evaluate(HEADINGS)) - 1)]
    assert page.locator("main:visible").count() == 1
    for text, ratio in page.evaluate(FAINT):
        assert ratio >= CONTRAST, f"{text!r} has a contrast of {ratio:.2f}"


NAMELESS = """() => [...document.querySelectorAll('button, input, select, a, progress, table, section, img, th')]
  .filter((node) => node.offsetParent && !(node.labels && node.labels.length) && !node.hasAttribute('alt')
    && !node.getAttribute('aria-label') && !node.getAttribute('aria-labelledby') && !node.textContent.trim()
    || node.tagName === 'SECTION' && !node.getAttribute('aria-labelledby'))
  .map((node) => node.outerHTML)"""
CUT_OFF = """() => [...document.querySelectorAll('.sheet, .list, dl, header')]
  .filter((node) => node.offsetParent && node.scrollWidth > node.clientWidth).map((node) => node.textContent.trim())"""
HEADINGS = """() => [...document.querySelectorAll('h1, h2, h3, h4')]
  .filter((node) => node.offsetParent).map((node) => Number(node.tagName[1]))"""
FAINT = """() => {
  const rgba = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (node) => {
    for (let each = node; each; each = each.parentElement) {
      const colour = rgba(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.offsetParent) continue;
    const [one, two] = [light(rgba(getComputedStyle(node).color)), light(ground(node))].sort((a, b) => b - a);
    found.push([walker.currentNode.data.trim(), (one + 0.05) / (two + 0.05)]);
  }
  return found;
}"""


def test_groups_that_nobody_hears_are_shown(browser: Browser, tmp_path: Path) -> None:
    """Each by its name and number, apart from the inputs."""
    groups = [{"gssi": 4711001, "name": "City centre patrol"}, {"gssi": 4711002, "name": "Events"}]
    with Site(tmp_path, feed={"groups": groups}) as site:
        opened = Visit(browser, site, viewport={"width": 390, "height": 844})
        chips = opened.sign_in(site.token()).locator("#cover li")
        expect(chips).to_have_text(["not covered: City centre patrol (4711001)", "not covered: Events (4711002)"])
        opened.close()
