"""A working Mosquitto configuration made from the device authority (mosquitto.conf(5), versions 2.0 and 2.1).

Two listeners, each with an authority, a list of the revoked and rights of its own: what a device's certificate
says, even the name of the gateway, never counts on the gateway's listener.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from gateway.crypto.authority_files import PRIVATE, folder, read, replace

DEVICE_RIGHTS = """\
# What each device may do, under its own name alone (%u is the name in its certificate).
pattern write lapel/v1/camera/%u/file/#
pattern write lapel/v1/camera/%u/status
pattern write lapel/v1/camera/%u/event
pattern write lapel/v1/camera/%u/renew
pattern read lapel/v1/camera/%u/response
pattern write owntracks/%u/#
pattern write lapel/v1/beacon/%u/#
pattern write lapel/v1/dock/%u/#
pattern read lapel/v1/dock/%u/camera/+/response
"""
CONSUMER_RIGHTS = """\
user {name}
{readable}
topic deny lapel/v1/camera/#
topic deny lapel/v1/beacon/#
topic deny lapel/v1/dock/#
topic deny owntracks/#
"""
GATEWAY_RIGHTS = """\
# The gateway reads what devices say, and writes answers and the feed.
user gateway
topic read lapel/v1/camera/+/file/#
topic read lapel/v1/camera/+/status
topic read lapel/v1/camera/+/event
topic read lapel/v1/camera/+/renew
topic write lapel/v1/camera/+/response
topic read owntracks/#
topic read lapel/v1/beacon/#
topic read lapel/v1/dock/#
topic write lapel/v1/dock/+/camera/+/response
topic readwrite lapel/v1/feed/#
topic readwrite lapel/v1/gateway/#
topic readwrite lapel/v1/agency/#
"""
WHOLE_FEED = "topic read lapel/v1/feed/#\ntopic read lapel/v1/gateway/status"
AGENCY_FEED = "topic read lapel/v1/agency/{agency}/feed/#\ntopic read lapel/v1/agency/{agency}/status"
Consumers = Mapping[str, str | None]
"""Names of consumers of the feed, and the agency whose view each reads (None: the whole)."""


class Site(msgspec.Struct, frozen=True):
    """Where the broker listens: hosts are the names and addresses that its certificate bears."""

    hosts: tuple[str, ...]
    port: int = 8883
    gateway_port: int = 8884
    bind: str | None = None


def configuration(where: Path, site: Site) -> str:
    """The text of mosquitto.conf; where is the directory that the files lie in, as the broker sees it."""
    bind = "" if site.bind is None else f" {site.bind}"
    return f"""\
# Written by `lapel broker config`; run that again rather than editing this. README.md says what to do.
per_listener_settings true

# Nothing that devices send lies on this machine's disk: footage counts as received when the gateway
# says so (durable ranges, receipts), never when this broker acknowledges it.
persistence false
# Sessions of clients that are away are never expired (no persistent_client_expiration): they are as many as names
# were given, and Mosquitto 2.0's list of expiries breaks, and the broker with it, at a SIGHUP while clients are away.
# What waits for a client that is slow or away: bounded by bytes, all clients alike.
max_queued_messages 0
max_queued_bytes 268435456
max_inflight_messages 20
# A segment of a recording has at most 4 MiB; anything longer ends the connection.
max_packet_size 4259840
set_tcp_nodelay true
log_type error
log_type warning
log_type notice

# Devices: certificates of the device authority. The name in the certificate is user name and client id,
# so that no device can speak under another's name, or end another's connection.
listener {site.port}{bind}
{_tls(where, "device-ca")}use_username_as_clientid true
acl_file {where}/rights-devices
max_connections 20000

# The gateway alone: certificates of the site authority. It has several connections, so client ids are its own.
listener {site.gateway_port}{bind}
{_tls(where, "site-ca")}acl_file {where}/rights-gateway
max_connections 100
"""


def _tls(where: Path, authority: str) -> str:
    return f"""\
tls_version tlsv1.3
cafile {where}/{authority}.crt
crlfile {where}/{authority}.crl
certfile {where}/broker.crt
keyfile {where}/broker.key
require_certificate true
use_identity_as_username true
allow_anonymous false
"""


def rights(revoked: Iterable[str], consumers: Consumers = MappingProxyType({})) -> str:
    """The rights on the devices' listener: a device that was revoked while it is connected has none left."""
    reading = [CONSUMER_RIGHTS.format(name=name, readable=_readable(agency)) for name, agency in consumers.items()]
    lines = [f"user {name}\ntopic deny #\n" for name in revoked]
    readers = "\n# Consumers of the feed read it, and have none of the rights of devices.\n" + "".join(reading)
    return DEVICE_RIGHTS + (readers if reading else "") + ("\n# Revoked.\n" + "".join(lines) if lines else "")


def _readable(agency: str | None) -> str:
    return WHOLE_FEED if agency is None else AGENCY_FEED.format(agency=agency)


def gateway_settings(authority: Path, site: Site) -> str:
    """The lines for the gateway's own configuration."""
    return f"""\
[broker]
host = "{site.hosts[0]}"
port = {site.gateway_port}
ca = "{authority}/site-ca.crt"
cert = "{authority}/gateway.crt"
key = "{authority}/gateway.key"

[devices]
broker_port = {site.port}

# This broker keeps the feed to its consumers.
[feed]
mqtt = true
"""


def write(where: Path, authority: Path, site: Site, named: tuple[Iterable[str], Consumers]) -> None:
    """Write everything that the broker needs; each file whole or as it was. named: the revoked, and consumers."""
    folder(where, 0o755)
    replace(where / "broker.key", read(authority / "broker.key", private=True), PRIVATE)
    replace(where / "broker.crt", read(authority / "broker.crt"))
    replace(where / "rights-gateway", GATEWAY_RIGHTS.encode())
    replace(where / "mosquitto.conf", configuration(where.resolve(), site).encode())
    replace(where / "gateway.toml", gateway_settings(authority.resolve(), site).encode())
    replace(where / "README.md", README.encode())
    refresh(where, authority, *named)


def refresh(where: Path, authority: Path, revoked: Iterable[str], consumers: Consumers = MappingProxyType({})) -> None:
    """Write anew what a revocation changes."""
    for name in ("device-ca", "site-ca"):
        replace(where / f"{name}.crt", read(authority / f"{name}.crt"))
        replace(where / f"{name}.crl", read(authority / f"{name}.crl"))
    replace(where / "rights-devices", rights(revoked, consumers).encode())


README = """\
# This broker

| file | is |
|---|---|
| `mosquitto.conf` | the whole configuration: TLS 1.3, a certificate from everybody, two listeners |
| `rights-devices` | what a device may do: write and read under its own name, nothing else; who reads the feed |
| `rights-gateway` | what the gateway may do |
| `device-ca.crt`, `device-ca.crl` | who certifies devices, and which certificates were revoked |
| `site-ca.crt`, `site-ca.crl` | who certifies this broker and the gateway. Devices trust `site-ca.crt` |
| `broker.crt`, `broker.key` | this broker's certificate and key (keep the key for the broker's user alone) |
| `gateway.toml` | the lines for the gateway's configuration |

1. On Debian the broker runs as the user `mosquitto`: `chown mosquitto broker.key`; it must be able to enter this
   directory.
2. Start: `mosquitto -c mosquitto.conf`, or name it in the service's unit. `systemctl reload mosquitto` sends SIGHUP.
3. Put the lines of `gateway.toml` into the gateway's configuration and start it; its log says whether this broker
   enforces the rights above (it tries to break them under the name `lapel-probe`).
4. Give each device a certificate: `lapel device enrol ID …`.

**After a revocation** (`lapel device revoke ID --reason … --broker DIR` writes the files here anew): send SIGHUP
(`kill -HUP`, `systemctl reload mosquitto`). From then on the revoked certificate cannot connect, and a connection that
it still has can neither publish nor subscribe. Until then the gateway keeps such footage and flags it `device_revoked`.

**Renewal**: devices and the gateway renew by themselves. This broker's own certificate does not: `lapel doctor` names
it in good time; run `lapel broker config` again with the same options and send SIGHUP.

A consumer of the feed over MQTT is enrolled like a device: `lapel device enrol NAME --kind consumer --out …`, then
`lapel broker config` again with the same options, and SIGHUP. It may read `lapel/v1/feed/#` and
`lapel/v1/gateway/status`, and nothing else; only the gateway may write there. With `--agency A` it reads what that
agency may see, `lapel/v1/agency/A/#`, instead (`[feed] mqtt_for = ["A"]`).

Nothing that is sent lies on this broker's disk (`persistence false`): a restart loses what waits here, and cameras send
again what the gateway has not called durable. A PUBACK of this broker is no receipt. Mosquitto 2.0.11 lets its
in-flight window grow while acknowledgements are late; 2.0.18 or later is better.
"""
