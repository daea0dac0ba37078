"""A whole gateway in a thread of its own, on an ephemeral loopback port; tests talk to it over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from gateway import settings as configuration
from gateway.app import Gateway, serve
from gateway.domain.events import (
    CameraReport,
    EmergencyReport,
    Event,
    Frame,
    Origin,
    PositionReport,
    StatusReport,
    TextReport,
)
from gateway.domain.evidence import Act, RecordingFin, RecordingKey, RecordingOffer, Sealed, Segment
from gateway.domain.ids import DeviceId, ExhibitId, Issi
from gateway.domain.position import Fix
from gateway.domain.time import Stamp
from gateway.observe import SystemClock
from gateway.store.accounts import Account, Accounts
from gateway.store.roster import RosterStore

Made = TypeVar("Made")
PATIENCE_S = 20.0
STEP = 1 << 20
ROSTER = """
v = 1
[[person]]
id = "P-0014"
collar = "7714"
name = "Officer 14"
agency = "PCC"
role = "CSO"
issi = 2341014
powers = [{ id = "pcn" }, { id = "csas.litter", expires = 2099-03-31 }]
[[person]]
id = "P-0015"
collar = "7715"
name = "Officer 15"
agency = "PCC"
role = "CSO"
issi = 2341015
powers = [{ id = "pcn", expires = 2020-01-01 }, { id = "csas.alcohol" }]
[[person]]
id = "P-1187"
name = "Officer 1187"
agency = "CAMBS"
role = "PC"
issi = 2341187
powers = [{ id = "constable" }, { id = "pcn" }]
[[unit]]
id = "PCC.CSO-014"
callsign = "CSO14"
agency = "PCC"
members = ["P-0014"]
[[unit]]
id = "PCC.CSO-015"
callsign = "CSO15"
agency = "PCC"
kind = "cycle"
members = ["P-0015"]
[[unit]]
id = "CAMBS.PC-1187"
callsign = "PB21"
agency = "CAMBS"
kind = "vehicle"
members = ["P-1187"]
[[device]]
id = "bcn-14"
kind = "beacon"
agency = "PCC"
[[device]]
id = "bcn-15"
kind = "beacon"
agency = "PCC"
[[device]]
id = "bcn-1187"
kind = "beacon"
agency = "CAMBS"
[[device]]
id = "cam-0042"
kind = "camera"
agency = "PCC"
[[device]]
id = "trm-2341014"
kind = "terminal"
agency = "PCC"
issi = 2341014
[[booking]]
device = "bcn-14"
holder = "P-0014"
from = 2026-01-01T00:00:00Z
how = "kiosk"
[[booking]]
device = "bcn-15"
holder = "P-0015"
from = 2026-01-01T00:00:00Z
how = "kiosk"
[[booking]]
device = "bcn-1187"
holder = "P-1187"
from = 2026-01-01T00:00:00Z
how = "kiosk"
[[booking]]
device = "cam-0042"
holder = "P-0014"
from = 2026-01-01T00:00:00Z
how = "kiosk"
[[booking]]
device = "trm-2341014"
holder = "P-0014"
from = 2026-01-01T00:00:00Z
how = "radio"
"""


JPEG = b"\xff\xd8\xff" + bytes(500) + b"\xff\xd9"


def noise(octets: int, seed: int = 1) -> bytes:
    """Bytes that repeat nowhere, the same for one seed."""
    return hashlib.shake_256(seed.to_bytes(4, "big")).digest(octets)


class Site:
    """One gateway over one data directory; open and close it as often as needed."""

    def __init__(self, root: Path, *, more_roster: str = "", **sections: Any) -> None:
        root.mkdir(parents=True, exist_ok=True)
        roster = root / "roster.toml"
        roster.write_text(ROSTER + more_roster)
        self.data = root / "store"
        self._sections: dict[str, Any] = {
            "gateway": {"instance": "test-1", "data": str(self.data)},
            "roster": {"file": str(roster)},
            "store": {"reserve_mb": 0},
            "media": {"enabled": False},
            "log": {"origin": "lapel.test/log"},
            "api": {"port": 0},
            "feed": {"tick_ms": 20, "heartbeat_s": 0.5},
        }
        for name, section in sections.items():
            self._sections[name] = section if isinstance(section, list) else {**self._sections.get(name, {}), **section}
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self.gateway: Gateway
        self.loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.clock = SystemClock()

    # --- life

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="gateway")
        self._thread.start()
        assert started.wait(PATIENCE_S), "the gateway did not start"
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread is not None
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the gateway did not stop"
        if self._failure is not None:
            raise self._failure

    def _run(self, started: threading.Event) -> None:
        async def main() -> None:
            self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()

            def ready(gateway: Gateway) -> None:
                self.gateway = gateway
                started.set()

            await serve(configuration.parse(self._sections), {}, self._stop, ready)

        try:
            asyncio.run(main())
        except BaseException as problem:
            self._failure = problem
        finally:
            started.set()

    # --- into the gateway's own loop

    def within(self, act: Callable[..., Made], *args: Any, **named: Any) -> Made:
        """Run a function in the gateway's loop."""
        future: Future[Made] = Future()

        def run() -> None:
            try:
                future.set_result(act(*args, **named))
            except BaseException as problem:
                future.set_exception(problem)

        self.loop.call_soon_threadsafe(run)
        return future.result(PATIENCE_S)

    def awaited(self, coroutine: Coroutine[Any, Any, Made]) -> Made:
        """Run a coroutine in the gateway's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE_S)

    # --- what devices do

    def hear(self, event: Event) -> None:
        """An event, by the port that drivers use."""
        frame = Frame(event.origin.via, event.stamp, b"{}", "test", event.origin.device, event.origin.issi)

        async def accept() -> None:
            await self.gateway.intake.accept(frame, [event])

        self.awaited(accept())

    def position(
        self, device: str = "bcn-14", lat: float = 52.57, lon: float = -0.24, *, age_s: float = 0.0, battery: int = 71
    ) -> None:
        """A beacon's position."""
        fix = Fix(lat, lon, 8.0, None, 1.4, 87.5)
        self.hear(PositionReport(Origin("test", DeviceId(device)), self.stamp(age_s), fix, "mqtt", battery_pct=battery))

    def status(self, code: int | None, issi: int = 2341014) -> None:
        """A status from a radio."""
        self.hear(StatusReport(Origin("radio", None, Issi(issi)), self.stamp(), 0x8000 + (code or 0), code))

    def text(self, words: str, issi: int = 2341014) -> None:
        """A text from a radio."""
        self.hear(TextReport(Origin("radio", None, Issi(issi)), self.stamp(), words))

    def press(self, device: str = "bcn-14") -> None:
        """The button of a beacon."""
        self.hear(EmergencyReport(Origin("test", DeviceId(device)), self.stamp(), "beacon_sos"))

    def tell(self, kind: str, device: str = "cam-0042", *, age_s: float = 0.0, **body: Any) -> None:
        """A camera's word: `status`, `recording_started`, `recording_stopped`; durable on return."""
        self.hear(CameraReport(Origin("test", DeviceId(device)), self.stamp(age_s), kind, body))

    def begin(self, content: bytes, whole: int, recording: str, device: str = "cam-0042") -> RecordingKey:
        """An upload of which only this has come."""
        key = RecordingKey(DeviceId(device), recording)

        async def upload() -> None:
            sink = self.gateway.evidence.recordings  # type: ignore[union-attr]
            await sink.begin(RecordingOffer(key, f"{recording}.mp4", whole))
            await sink.keep(Segment(key, 0, content))

        self.awaited(upload())
        return key

    def looked(self) -> None:
        """The list of expected recordings has taken up every seal."""
        expected = self.gateway.expected
        assert expected is not None
        expected.look()
        expected.stats = expected._counted()

    def stamp(self, age_s: float = 0.0) -> Stamp:
        """Arrived now, of a device time so many seconds ago."""
        now = self.clock.now()
        return Stamp(now, now.utc - timedelta(seconds=age_s), "gnss")

    def seal(
        self, content: bytes, recording: str = "20261121T210503Z-0017", device: str = "cam-0042", **more: Any
    ) -> Sealed:
        """A whole upload; more of its offer (user_data, via, name)."""
        key = RecordingKey(DeviceId(device), recording)
        began = datetime(2026, 11, 21, 21, 5, 3, tzinfo=UTC)

        async def upload() -> Sealed:
            sink = self.gateway.evidence.recordings  # type: ignore[union-attr]
            facts = {"name": f"{recording}.mp4", "content_type": "video/mp4", "started_at": began, **more}
            offer = RecordingOffer(key, size=len(content), ended_at=began + timedelta(seconds=97), **facts)
            await sink.begin(offer)
            for offset in range(0, len(content), STEP):
                await sink.keep(Segment(key, offset, content[offset : offset + STEP]))
            sealed = await sink.finish(RecordingFin(key, len(content), hashlib.sha256(content).hexdigest()))
            assert isinstance(sealed, Sealed)
            return sealed

        return self.awaited(upload())

    def examined(self, exhibit: str, picture: bytes = JPEG, **found: Any) -> None:
        """What an examination found, with a thumbnail."""
        records = self.gateway.evidence.records  # type: ignore[union-attr]
        facts = {"what": "media", "thumbnail": records.thumbnails.put(ExhibitId(exhibit), picture)}
        act = Act("derive", "system", ExhibitId(exhibit), facts, {"playable": "playable", **found})
        self.awaited(records.custody.record(act))

    def disposed(self, exhibit: str, upto: str = "dispose") -> None:
        """On its way out, as far as this kind of entry."""
        custody = self.gateway.evidence.records.custody  # type: ignore[union-attr]
        for kind in ("dispose_request", "dispose_approve", "key_destroy", "dispose"):
            self.awaited(custody.record(Act(kind, "supervisor", ExhibitId(exhibit), {"disposal": "D-1"})))
            if kind == upto:
                break

    # --- who asks

    def user(self, name: str, role: str = "administrator", agency: str | None = None) -> None:
        """An account."""
        with self._accounts() as accounts:
            if accounts.account(name) is None:
                accounts.add(Account(name, name, (role,), agency=agency))

    def token(
        self,
        *scopes: str,
        user: str = "tester",
        role: str = "administrator",
        days: float = 1,
        agency: str | None = None,
    ) -> str:
        """A token; without scopes it may all that the role may."""
        self.user(user, role, agency)
        with self._accounts() as accounts:
            return accounts.issue(user, scopes, "test", days)[1]

    def revoke(self, token: str) -> None:
        """End a token."""
        with self._accounts() as accounts:
            accounts.revoke(token.split("_")[1])

    def disable(self, user: str) -> None:
        """End an account."""
        with self._accounts() as accounts:
            accounts.disable(user)

    def _accounts(self) -> _Opened:
        return _Opened(self.data)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.gateway.api_port}"

    def client(self, token: str | None = None, **more: Any) -> httpx.Client:
        """Somebody else's HTTP client, with a token where one is given."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE_S, trust_env=False, **more)


class _Opened:
    """Accounts as a command in another process would open them."""

    def __init__(self, data: Path) -> None:
        self._store = RosterStore(data / "roster.db")

    def __enter__(self) -> Accounts:
        return Accounts(self._store.engine)

    def __exit__(self, *_: object) -> None:
        self._store.close()
