"""What `lapel init` writes: the configuration of a new site by profile, and an empty roster to fill."""

from __future__ import annotations

import json

import msgspec

PROFILES = ("full", "positions", "cameras")


class Site(msgspec.Struct, frozen=True):
    """What was said on the command line."""

    profile: str
    name: str
    host: str
    broker_port: int
    port: int
    origin: str | None = None
    embedded: bool = False
    terminals: tuple[str, ...] = ()

    @property
    def evidence(self) -> bool:
        """Whether it keeps evidence, and so has a log and keys."""
        return self.profile != "positions"


HEAD = """\
# {profile}: written by `lapel init`. What is not here has its default: config/lapel.toml of the release has every key.
# Unknown keys are refused. Relative paths are relative to this file. After a change: lapel check -c {file}

[gateway]
instance = {name}        # in client ids, logs and the feed
data = "data"               # everything durable lies below it: on a disk of its own, if you can

[broker]                    # any MQTT 3.1.1 broker; `lapel broker config` writes a safe one, and the lines for here
{broker}
"""
BROKER = "host = {host}\nport = {port}"
EMBEDDED = """\
embedded = true             # for a trial: on 127.0.0.1 alone, with no questions asked of who connects
port = {port}"""
TERMINAL = """
[[driver]]
kind = "tetra"              # a TETRA terminal on a serial port (PEI)
name = {name}
port = {port}
"""
NO_TERMINAL = """
# [[driver]]
# kind = "tetra"            # a TETRA terminal on a serial port (PEI); one table each
# name = "terminal-1"
# port = "/dev/ttyUSB0"
"""
BEACON = """
[[driver]]
kind = "beacon"             # OwnTracks, plain JSON, GeoJSON, gpsd TPV and NMEA 0183 over MQTT
name = "beacons"
"""
CAMERA = """
[[driver]]
kind = "camera"             # body-worn cameras over MQTT
name = "cameras"
"""
PEOPLE = """
[roster]
# file = "people.toml"      # imported at each start; or `lapel roster import people.toml` when it has changed
"""
NO_EVIDENCE = """
[evidence]
enabled = false             # positions alone: no footage, no log, no keys
"""
EVIDENCE = """
[store]
copies = 1                  # 2: a camera keeps its recording until a second place has it, verified
# copy_to = ["/mnt/second/lapel"]

[retention]                 # figures to begin with, no statement of law: put your own schedule here
uncategorised_days = 31     # what nobody has categorised is due after this
journal_days = 31           # position history is destroyed after this

[log]
# {advice}
origin = {origin}
# operator = "PCC"          # who runs this log; required where there are witnesses (config/witness.toml)
"""
API = """
[api]
host = "127.0.0.1"          # loopback: put a TLS proxy in front
port = {port}
"""
ROSTER = """\
# People, units, devices and who holds them: fill in, then `lapel roster import people.toml -c lapel.toml`.
# An import adds and changes, it never removes; earlier versions are kept. An unknown key is refused by its name.
v = 1

# [[person]]
# id = "P-0014"              # what bookings, units and the evidence name
# name = "A. Officer"
# agency = "PCC"
# role = "CSO"               # what your agency calls it
# issi = 2341014             # the person's own radio identity, where there is one

# [[unit]]
# id = "PCC.CSO-1"
# callsign = "CSO1"
# agency = "PCC"
# members = ["P-0014"]

# [[device]]
# id = "cam-0042"            # the name in its topics and its certificate
# kind = "camera"            # camera, beacon, terminal
# agency = "PCC"

# [[booking]]
# device = "cam-0042"
# holder = "P-0014"
# from = 2026-11-21T21:00:00Z
"""
CHOSEN = "The first line of every checkpoint, for good: it cannot be changed once the log has begun."
CHOOSE = "CHOOSE a name of yours, like police.example/lapel, before the first start: it stays for good."


def text(site: Site) -> str:
    """The configuration."""
    broker = EMBEDDED.format(port=site.broker_port)
    if not site.embedded:
        broker = BROKER.format(host=_quoted(site.host), port=site.broker_port)
    head = HEAD.format(profile=site.profile, file="lapel.toml", name=_quoted(site.name), broker=broker)
    rest = NO_EVIDENCE
    if site.evidence:
        origin = _quoted(site.origin or "lapel.invalid/log")
        rest = EVIDENCE.format(origin=origin, advice=CHOSEN if site.origin else CHOOSE)
    return head + "".join(_drivers(site)) + PEOPLE + rest + API.format(port=site.port)


def _drivers(site: Site) -> list[str]:
    terminals = [
        TERMINAL.format(name=_quoted(f"terminal-{number}"), port=_quoted(port))
        for number, port in enumerate(site.terminals, 1)
    ]
    if site.profile == "cameras":
        return [CAMERA]
    return [*(terminals or [NO_TERMINAL]), BEACON, *([CAMERA] if site.profile == "full" else [])]


def _quoted(words: str) -> str:
    """As a TOML string: JSON's escapes are among TOML's, its surrogates are not, and TOML wants DEL escaped too."""
    return json.dumps(words, ensure_ascii=False).replace("\x7f", "\\u007f")
