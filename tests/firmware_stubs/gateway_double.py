"""A gateway's upload side in memory, that keeps the protocol's law and can be told to misbehave."""

import hashlib
import json
import re

from firmware_stubs.ranges import Ranges
from tests.firmware_stubs.tiny_log import TinyLog

MIB = 1024 * 1024


class GatewayDouble:
    """Answers commands of one or more cameras; `transport` is anything that publishes its answers."""

    def __init__(self, window=4 * MIB):
        self.log = TinyLog()
        self.window = window
        self.held = {}
        self.durable = {}
        self.sizes = {}
        self.receipts = {}
        self.drop = 0
        self.not_now = 0
        self.commands = []

    def receive(self, topic, payload):
        """One publish in; the response's topic and the answers out."""
        found = re.fullmatch(r"lapel/v1/camera/([^/]+)/file/([^/]+)/(.+)", topic)
        device, recording, leaf = found.groups()
        self.commands.append(leaf)
        key = (device, recording)
        verb = leaf.split("/")[0]
        answer = (
            self._segment(key, leaf, payload) if verb.isdecimal() else getattr(self, f"_{verb}")(key, leaf, payload)
        )
        if answer is None:
            return []
        answer = {"v": 1, "recording": recording, "reason_code": 0, "reason_description": "success", **answer}
        return [(f"lapel/v1/camera/{device}/response", json.dumps(answer).encode())]

    def missing(self, key):
        return Ranges.of([(0, self.sizes[key])]) - self.durable[key]

    def _init(self, key, leaf, payload):
        self.sizes[key] = json.loads(payload)["size"]
        self.held.setdefault(key, bytearray(self.sizes[key]))
        self.durable.setdefault(key, Ranges())
        return self._where(key, "init")

    def _where(self, key, verb):
        return {
            "topic": f"\u2026/{verb}",
            "window_bytes": self.window,
            "durable": self.durable[key].listed(),
            "missing": self.missing(key).listed(),
        }

    def _status(self, key, leaf, payload):
        if key not in self.sizes:
            return {"topic": "\u2026/status", "reason_code": 0x80, "reason_description": "unknown_recording"}
        return self._where(key, "status")

    def _segment(self, key, leaf, payload):
        start, _, digest = leaf.partition("/")
        if digest:
            assert hashlib.sha256(payload).hexdigest() == digest
        if self.drop:
            self.drop -= 1
            return None
        if self.not_now:
            self.not_now -= 1
            return {
                "topic": f"\u2026/{start}",
                "reason_code": 0x97,
                "reason_description": "disk_reserve",
                "retry_after_s": 0.3,
            }
        start = int(start)
        self.held[key][start : start + len(payload)] = payload
        self.durable[key] |= Ranges.of([(start, start + len(payload))])
        return {"durable": self.durable[key].listed()}

    def _fin(self, key, leaf, payload):
        _, size, sha256 = leaf.split("/")
        missing = self.missing(key)
        if missing:
            return {
                "topic": f"\u2026/fin/{size}",
                "reason_code": 0x10,
                "reason_description": "incomplete",
                "missing": missing.listed(),
            }
        assert hashlib.sha256(self.held[key]).hexdigest() == sha256
        if key not in self.receipts:
            exhibit = f"X-{len(self.receipts) + 1:04d}"
            self.receipts[key] = self.log.receipt(key[1], int(size), sha256, exhibit)
        return {"topic": f"\u2026/fin/{size}", "receipt": self.receipts[key]}

    def _abort(self, key, leaf, payload):
        return {"topic": "\u2026/abort"}
