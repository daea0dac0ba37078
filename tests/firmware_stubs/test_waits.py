"""A camera that is told to keep its copy until a later receipt: it asks, or is told, and only then may let go."""

import json
from datetime import UTC, datetime

from firmware_stubs.habits import Habits
from firmware_stubs.proof import VerifierKey
from firmware_stubs.receipt import verify_receipt
from firmware_stubs.upload import Phase, Upload
from tests.firmware_stubs.gateway_double import GatewayDouble
from tests.firmware_stubs.test_upload import NAME, Wire, recording

FAR, NEAR = "9999-12-31T23:59:59Z", "2026-11-22T21:08:02Z"
NOW = datetime(2027, 1, 1, tzinfo=UTC)


class Copying(GatewayDouble):
    """A gateway whose copies are not verified yet."""

    def __init__(self):
        super().__init__()
        given = self.log.receipt
        self.log.receipt = lambda *words: {**given(*words), "keep_until": FAR}

    def _status(self, key, leaf, payload):
        found = self.receipts.get(key)
        return {"topic": "…/status", "receipt": found} if found else super()._status(key, leaf, payload)

    def verified(self):
        """The second copy is verified; the receipt that says so."""
        for key, receipt in self.receipts.items():
            self.receipts[key] = {**receipt, "copies": 2, "keep_until": NEAR}
        return self.receipts[key]


def waiting() -> tuple[Copying, Wire]:
    """A camera that waits, with its first receipt."""
    gateway = Copying()
    wire = Wire(gateway)
    wire.upload = Upload(recording(), wire.memory, VerifierKey.parse(gateway.log.vkey), Habits(waits=True))
    wire.run(8)
    assert wire.upload.phase is Phase.RECEIPTED
    assert not wire.upload.over
    assert not wire.upload.receipt.deletable(NOW)
    return gateway, wire


def step(wire: Wire, seconds: float) -> None:
    """Let time pass, and what is sent be answered."""
    wire.now += seconds
    wire.upload.tick(wire.now)
    wire.deliver(wire.burst())


def test_it_asks_until_it_may_let_go():
    """Status after status, no byte sent again; the newest receipt counts."""
    gateway, wire = waiting()
    gateway.commands.clear()
    for _ in range(5):
        step(wire, 20.0)
    assert set(gateway.commands) == {"status"}
    assert not wire.upload.over
    gateway.verified()
    step(wire, 20.0)
    assert wire.upload.over
    assert wire.upload.receipt.copies == 2
    assert wire.upload.receipt.deletable(NOW)
    assert wire.memory.receipt["keep_until"] == NEAR
    events = [each["event"] for each in wire.upload.happenings if each["event"].startswith("receipt")]
    assert events == ["receipt", "receipt_renewed"]
    assert wire.upload.violations == []


def test_it_asks_after_a_restart_of_the_line():
    """Offered again: the newest receipt."""
    gateway, wire = waiting()
    wire.upload.disconnected()
    gateway.verified()
    wire.run()
    assert wire.upload.over
    assert wire.upload.receipt.copies == 2


def test_it_is_told_unasked():
    """A camera that does not wait takes what it is told, if it is true."""
    gateway = Copying()
    wire = Wire(gateway)
    wire.run()
    assert wire.upload.over
    receipt = gateway.verified()
    wire.answer(topic="…/receipt", receipt=receipt)
    assert wire.memory.receipt == receipt
    wire.answer(topic="…/receipt", receipt={**receipt, "sha256": "00" * 32})
    assert wire.memory.receipt == receipt
    assert wire.upload.violations


def test_what_a_receipt_without_a_time_means():
    """It is verified like any other, and never deletable."""
    gateway = Copying()
    wire = Wire(gateway)
    wire.run()
    verified = verify_receipt(json.loads(json.dumps(wire.memory.receipt)), recording(), wire.upload.key)
    assert verified.until_told
    assert not verified.deletable(datetime(9000, 1, 1, tzinfo=UTC))
    assert recording().name == NAME
