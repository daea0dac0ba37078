"""`lapel demo`: the whole path on emulated devices, over real ports, a real broker and real video."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.live import Live

from gateway import settings as configuration
from gateway.app import Gateway, driver_settings, serve
from gateway.cli import show
from gateway.cli.demo_account import Account, settle
from gateway.cli.demo_beats import beats
from gateway.cli.demo_screen import Picture, draw, summary
from gateway.cli.demo_witness import DemoWitness
from gateway.cli.shift import Shift
from gateway.domain.evidence import Act, RecordingKey
from gateway.domain.ids import DeviceId
from gateway.errors import GatewayError
from gateway.evidence.rows import Exhibit, ExhibitFilter
from gateway.evidence.work.acts import Categorisation
from gateway.evidence.work.desk import HoldWords
from gateway.evidence.work.rules import Worker
from gateway.observe import set_up_logs
from gateway.store.accounts import Account as UserAccount
from gateway.store.accounts import Accounts
from gateway.store.roster import RosterStore

RADIOS, BEACONS, CAMERAS = 8, 12, 6
SEED = 20_261_121
DRAIN_S = 25.0
FILM_PAUSE_S = 120.0
SETTLE_S = 5.0
FRAME_S = 0.25
ORIGIN = "demo.lapel.invalid/log"
USER = "demo"


@click.command()
@click.option("--duration", type=click.FloatRange(min=0), default=0.0, help="Seconds; 0 is until Ctrl-C.")
@click.option("--units", type=click.IntRange(1, 500), default=20, show_default=True, help="People on shift.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="HTTP port.")
@click.option("--data", default="var/demo", show_default=True, metavar="DIR", help="Where it stores.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON counters.")
def demo(duration: float, units: int, port: int, data: str, *, as_json: bool) -> None:
    """Run the gateway on embedded defaults with an emulated shift; exit 0 only if nothing is lost."""
    root = Path(data).resolve()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (root / "demo.log").open("a", encoding="utf-8") as log:
        set_up_logs("info", "json", log)
        account = asyncio.run(Demonstration(root, units, port, duration).run())
    if as_json:
        show.json(account)
    else:
        Console().print(summary(account, data))
    sys.exit(1 if account.lost or account.violations else 0)


class Demonstration:
    """One demonstration from start to account."""

    def __init__(self, root: Path, people: int, port: int, duration_s: float) -> None:
        self._root, self._people, self._port, self._duration_s = root, people, port, duration_s
        self._broker_port = _free_port()
        self._stop = asyncio.Event()
        self._sealed_before = 0

    async def run(self) -> Account:
        """Start the shift's devices, then the gateway, then the traffic; settle the account at the end."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        shift = Shift(self._cast(), self._root / "shift.log")
        witness = DemoWitness(self._root, ORIGIN, _free_port())
        try:
            ready = await shift.open()
            await witness.open()
            settings = self._settings(ready, witness.section())
            gateways: asyncio.Queue[Gateway] = asyncio.Queue()
            done = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(serve(settings, driver_settings(settings), done, gateways.put_nowait))
                account = await self._played(shift, await gateways.get(), group)
                done.set()
        finally:
            await shift.close()
            await witness.close()
        return account

    def _cast(self) -> list[str]:
        folder = self._root / "shift"
        given: dict[str, object] = {
            "seed": SEED,
            "people": self._people,
            "radios": RADIOS,
            "beacons": min(self._people, BEACONS),
            "cameras": min(self._people, CAMERAS),
            "mqtt": f"127.0.0.1:{self._broker_port}",
            "terminals-dir": folder / "terminals",
            "roster": folder / "roster.toml",
            "vkey": self._root / "evidence" / "log" / "log.vkey",
            "work": folder / "footage",
            "drain": DRAIN_S,
            "recordings-per-camera": 1000,
            "film-pause": FILM_PAUSE_S,
            "smash": 1,
        }
        return [*(str(part) for name, value in given.items() for part in (f"--{name}", value)), "--rubbish"]

    def _settings(self, ready: dict[str, Any], witness: dict[str, Any]) -> configuration.Settings:
        """The embedded defaults, also written down as DIR/lapel.toml for the other commands."""
        terminals = [{"kind": "tetra", "name": Path(path).name, "port": str(path)} for path in ready["terminals"]]
        raw: dict[str, Any] = {
            "gateway": {"instance": "demo", "data": str(self._root)},
            "broker": {"embedded": True, "port": self._broker_port},
            "driver": [*terminals, {"kind": "beacon", "name": "beacons"}, {"kind": "camera", "name": "cameras"}],
            "roster": {"file": str(ready["roster"])},
            "store": {"copies": 2, "copy_to": [str(self._second())]},
            "log": {"origin": ORIGIN, "operator": "DEMO"},
            "api": {"port": self._port},
            "map": {"zones": str(beats(self._root)), "zone_kind": "beat"},
            "feed": {"mqtt": True},
        }
        (self._root / "lapel.toml").write_text(_toml({**raw, "log.witness": [witness]}), "utf-8")
        return configuration.parse({**raw, "log": {**raw["log"], "witness": [witness]}})

    def _second(self) -> Path:
        """A second place; on the same disk, as a demonstration has no other."""
        place = self._root / "second"
        place.mkdir(mode=0o700, exist_ok=True)
        return place

    async def _played(self, shift: Shift, gateway: Gateway, group: asyncio.TaskGroup) -> Account:
        evidence = gateway.evidence
        assert evidence is not None
        self._sealed_before = _sealed(gateway)
        token = await self._token(gateway)
        picture = Picture(f"http://127.0.0.1:{gateway.api_port}/", str(self._root), token)
        heard = group.create_task(shift.listen())
        shift.say("go")
        began_s = time.monotonic()
        with _screen(picture) as refresh:
            await self._watch(shift, gateway, picture, refresh, lambda: self._over(began_s))
            shift.say("stop")
            await self._watch(shift, gateway, picture, refresh, heard.done)
            await asyncio.sleep(0)
        sent = shift.summary
        if sent is None:
            raise click.ClickException(f"the emulated shift ended without its account; see {self._root / 'shift.log'}")
        return await self._settled(sent, gateway)

    def _over(self, began_s: float) -> bool:
        late = self._duration_s > 0 and time.monotonic() - began_s >= self._duration_s
        return late or self._stop.is_set()

    async def _watch(
        self, shift: Shift, gateway: Gateway, picture: Picture, refresh: Callable[[], None], over: Callable[[], bool]
    ) -> None:
        last, last_s = picture.positions, time.monotonic()
        while not over():
            await asyncio.sleep(FRAME_S)
            now_s = time.monotonic()
            picture.seconds += now_s - last_s
            counts = gateway.intake.counts
            picture.positions = counts["positions"]
            rate = (picture.positions - last) / (now_s - last_s)
            picture.positions_per_s += 0.2 * (rate - picture.positions_per_s)
            last, last_s = picture.positions, now_s
            picture.quarantined = counts["quarantined"]
            picture.cameras = list(shift.now.get("cameras", []))
            await _look(gateway, picture)
            if picture.seals and not picture.worked:
                picture.worked = await _worked_on(gateway, picture.seals[-1][0])
            refresh()

    async def _settled(self, sent: dict[str, Any], gateway: Gateway) -> Account:
        """Give what is between a device and us a moment to arrive, then settle."""
        evidence = gateway.evidence
        assert evidence is not None
        until_s = time.monotonic() + SETTLE_S
        named = [await _sealed_in_part(gateway, smashed) for smashed in sent.get("recordings_smashed", [])]
        while True:
            account = settle(
                sent,
                gateway.intake.counts,
                sealed=_sealed(gateway) - self._sealed_before,
                units=len(gateway.roster.units()),
                log_entries=evidence.records.custody.size,
                lost_on_purpose=named,
            )
            if account.lost == 0 or time.monotonic() > until_s:
                return account
            await asyncio.sleep(0.1)

    async def _token(self, gateway: Gateway) -> str:
        """A token of a demonstration user, made anew each time, on record like any other."""
        assert gateway.evidence is not None
        store = RosterStore(self._root / "roster.db")
        accounts = Accounts(store.engine)
        if accounts.account(USER) is None:
            accounts.add(UserAccount(USER, "Demonstration", ("administrator",)))
        made, text = accounts.issue(USER, (), "demonstration", days=1)
        store.close()
        detail = {"act": "token", "account": USER, "token": made.id, "label": "demonstration"}
        await gateway.evidence.records.custody.record(Act("account", "demo", detail=detail))
        return text


async def _look(gateway: Gateway, picture: Picture) -> None:
    """Read the figures that the gateway's parts have."""
    assert gateway.evidence is not None
    stored = gateway.evidence.records
    units = msgspec.json.decode(gateway.feed.snapshot())["features"]
    picture.units, picture.units_seen = len(units), sum(unit["geometry"] is not None for unit in units)
    picture.emergencies = len(gateway.feed.emergencies())
    picture.crossings = gateway.feed.stats()["zone_crossings"]
    picture.log_entries = stored.custody.size
    witnesses = gateway.evidence.witnesses
    picture.witnessed = witnesses.cosigned.size if witnesses is not None and witnesses.cosigned is not None else 0
    picture.log_root = stored.custody.checkpoint_text.split("\n")[2]
    rows: list[Exhibit] = await asyncio.to_thread(stored.catalogue.exhibits, None, 8)
    picture.seals = [
        (row.id, f"{row.device} {row.recording}", row.size or 0, row.log_index) for row in rows if row.sealed_at
    ]


async def _worked_on(gateway: Gateway, exhibit: str) -> str:
    """What an evidence officer would do with the first recording: a category, and a hold by its incident."""
    assert gateway.evidence is not None
    desk, officer = gateway.evidence.desk, Worker("demo")
    said = Categorisation(category="evidential", exhibit_ref="DEMO/1", incident="DEMO 1")
    try:
        row = await desk.categorise(officer, exhibit, said)
        hold, _ = await desk.hold_incident(officer, "DEMO 1", HoldWords(reason="demonstration of a hold by incident"))
    except GatewayError as problem:  # an exhibit of an earlier demonstration may be past work
        return f"{exhibit}: {problem}"
    return f"{exhibit} is {row.category}, to be reviewed {row.review_due}, held by {hold}"


def _sealed(gateway: Gateway) -> int:
    """Recordings sealed complete."""
    assert gateway.evidence is not None
    return gateway.evidence.records.catalogue.count(ExhibitFilter(complete=True, sealed=True))


async def _sealed_in_part(gateway: Gateway, smashed: dict[str, Any]) -> str:
    """Seal what came of a camera that will not return, as its operator would, and name what is lost."""
    assert gateway.expected is not None
    device, recording, size = smashed["device"], smashed["recording"], smashed["size"]
    key = RecordingKey(DeviceId(device), recording)
    sealed = await gateway.expected.seal_now(key, "demo", "camera smashed while it sent this recording")
    await asyncio.to_thread(gateway.expected.look)
    rows = await asyncio.to_thread(gateway.expected.listed, device)
    row = next((row for row in rows if row.recording == recording), None)
    state = "not on the list" if row is None else f"{row.state}, held by {row.holder or 'nobody known'}"
    part = "nothing came" if sealed is None else f"{sealed.size:,} of {size:,} bytes sealed as {sealed.exhibit}"
    gaps = [] if row is None else [f"{start}-{end}" for start, end in row.missing]
    return f"{device} {recording}: {part}, missing {' '.join(gaps) or 'none'}; {state}"


class _screen:  # noqa: N801 - reads as a function, is a context
    """A live screen on a terminal; elsewhere one line now and then on standard error."""

    def __init__(self, picture: Picture) -> None:
        self._picture, self._console = picture, Console(stderr=True)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._said_s = float("-inf")

    def __enter__(self) -> Callable[[], None]:
        if not self._console.is_terminal:
            self._console.print(f"{self._picture.address}  token {self._picture.token}", soft_wrap=True)
            self._console.print(f"data {self._picture.data}", soft_wrap=True)
            return self._line
        self._live.start()
        return lambda: self._live.update(draw(self._picture))

    def _line(self) -> None:
        now = self._picture
        if now.seconds - self._said_s < 10:
            return
        self._said_s = now.seconds
        self._console.print(
            f"{now.seconds:.0f} s: {now.units_seen} of {now.units} units seen, {now.positions} positions "
            f"({now.positions_per_s:.0f}/s), {now.crossings} zones crossed, "
            f"{len(now.seals)} newest seals, log {now.log_entries} entries"
            f"{f'; {now.worked}' if now.worked else ''}",
            soft_wrap=True,
        )

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def _toml(raw: dict[str, Any]) -> str:
    """Print the few shapes that a demonstration's configuration has."""
    lines = []
    for name, table in raw.items():
        for entry in table if isinstance(table, list) else [table]:
            lines.append(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
            lines += [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in entry.items()]
            lines.append("")
    return "\n".join(lines)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
