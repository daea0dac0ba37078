"""An enrolled dock on a real broker with mutual TLS: the cameras that it may speak for, and one that it may not."""

from __future__ import annotations

import hashlib

import pytest

from tests.dock.rig import DockProcess
from tests.scenarios.gateway_process import GatewayProcess
from tests.scenarios.test_enrolled_camera import seal_of
from tests.site import Site


@pytest.fixture
def site():
    """A site with a dock that may speak for one camera, and its broker."""
    made = Site()
    made.enrol("dock-1", "--kind", "dock", "--cameras", "cam-0042")
    made.write()
    made.start()
    yield made
    made.close()


@pytest.fixture
def gateway(site):
    """`lapel run` with the lines that `lapel broker config` gives for it."""
    lines = (site.conf / "gateway.toml").read_text()
    text = f'[gateway]\ndata = "{site.data}"\n{lines}[api]\nport = 0\n[store]\nreserve_mb = 0\n'
    process = GatewayProcess(site.root, text + '[[driver]]\nkind = "camera"\nname = "cameras"\n')
    process.start().ready()
    yield process
    process.kill()


def test_a_dock_speaks_for_its_cameras_and_what_else_it_brings_is_kept_and_flagged(site, gateway):
    """Both sealed byte for byte via dock-1; the one it may not speak for waits to be settled."""
    for serial, content in (("AX1", b"ours" * 200_000), ("AX2", b"not ours" * 100_000)):
        (site.root / "stick" / serial).mkdir(parents=True)
        (site.root / "stick" / serial / "A.MP4").write_bytes(content)
    keys = site.keys
    config = site.root / "dock.toml"
    config.write_text(
        f'[dock]\nid = "dock-1"\nlog_key = "{site.data}/evidence/log/log.vkey"\nscan_s = 0.1\nsettle_s = 0.2\n'
        f'[broker]\nhost = "localhost"\nport = {site.port}\nca = "{keys}/ca.crt"\n'
        f'cert = "{keys}/dock-1.crt"\nkey = "{keys}/dock-1.key"\n'
        '[[folder]]\npath = "stick"\n[serials]\nAX1 = "cam-0042"\nAX2 = "cam-0099"\n'
    )
    dock = DockProcess(config, "--once")
    assert dock.ended(40) == 0, (dock.said, dock.errors())
    sealed = {each["device"]: each for each in dock.of("receipted")}
    assert sealed["cam-0042"]["sha256"] == hashlib.sha256(b"ours" * 200_000).hexdigest()
    ours, other = (seal_of(site, sealed[device]["exhibit"]) for device in ("cam-0042", "cam-0099"))
    assert (ours["via"], other["via"]) == ("dock dock-1", "dock dock-1")
    assert "dock_not_entitled" not in ours["flags"]
    assert "dock_not_entitled" in other["flags"]
    assert sealed["cam-0099"]["exhibit"] in gateway.told("evidence", "settle")
