"""A recording sink that asserts the port's law and can be slow, busy or broken."""

from __future__ import annotations

import asyncio
import hashlib

from gateway.domain.evidence import RecordingFin, RecordingKey, RecordingOffer, Sealed, Segment, UploadState
from gateway.domain.ids import ExhibitId
from gateway.errors import GatewayError, SegmentError

MIB = 1024 * 1024


def merged(ranges) -> tuple:
    """Ranges merged, written apart from the product's own."""
    covered: list[list[int]] = []
    for start, end in sorted(ranges):
        if start == end:
            continue
        if covered and start <= covered[-1][1]:
            covered[-1][1] = max(covered[-1][1], end)
        else:
            covered.append([start, end])
    return tuple((start, end) for start, end in covered)


class Sink:
    """Recordings in memory; `gate` holds every keep back while it is clear."""

    def __init__(self, window_bytes: int = 8 * MIB) -> None:
        self.window_bytes = window_bytes
        self.offers: dict[RecordingKey, RecordingOffer] = {}
        self.pieces: dict[RecordingKey, list[Segment]] = {}
        self.sealed: dict[RecordingKey, Sealed] = {}
        self.fins: list[RecordingFin] = []
        self.log: list[tuple[str, object]] = []
        self.writing = self.most_writing = 0
        self.fault: GatewayError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def durable(self, key: RecordingKey) -> tuple:
        """What keep has returned for."""
        return merged((one.offset, one.offset + len(one.content)) for one in self.pieces.get(key, []))

    def content(self, key: RecordingKey, size: int) -> bytes:
        """The recording as kept."""
        whole = bytearray(size)
        for one in self.pieces.get(key, []):
            whole[one.offset : one.offset + len(one.content)] = one.content
        return bytes(whole)

    def _state(self, key: RecordingKey, size: int | None = None) -> UploadState:
        offer = self.offers.get(key)
        size = size if size is not None else (offer.size if offer else None)
        durable, missing, at = self.durable(key), [], 0
        if size is not None:
            for start, end in (*durable, (size, size)):
                if start > at:
                    missing.append((at, min(start, size)))
                at = max(at, end)
        return UploadState(key, size, durable, tuple(missing), self.window_bytes)

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def begin(self, offer: RecordingOffer) -> UploadState | Sealed:
        """Open, resume, or the receipt again."""
        self.log.append(("begin", offer.key))
        self._fail()
        if offer.key in self.sealed:
            return self.sealed[offer.key]
        self.offers[offer.key] = offer
        return self._state(offer.key)

    async def keep(self, segment: Segment) -> UploadState:
        """Durable when it returns, and only then."""
        self.log.append(("keep", segment.offset))
        self.writing += 1
        self.most_writing = max(self.most_writing, self.writing)
        try:
            await self.gate.wait()
            await asyncio.sleep(0.002)
            self._fail()
            if segment.key not in self.offers:
                raise SegmentError("unknown_recording")
            self.pieces.setdefault(segment.key, []).append(segment)
            self.log.append(("durable", segment.offset))
            return self._state(segment.key)
        finally:
            self.writing -= 1

    async def state(self, key: RecordingKey) -> UploadState | Sealed | None:
        """What is durable."""
        assert self.writing == 0 or key not in self.offers, "a query must wait for the writes before it"
        return self.sealed.get(key) or (self._state(key) if key in self.offers else None)

    async def finish(self, fin: RecordingFin) -> UploadState | Sealed:
        """Seal, or say what is missing."""
        self.log.append(("finish", fin.size))
        self.fins.append(fin)
        self._fail()
        if fin.key in self.sealed:
            return self.sealed[fin.key]
        if fin.key not in self.offers:
            raise SegmentError("unknown_recording")
        state = self._state(fin.key, fin.size)
        return state if state.missing else self._seal(fin.key, fin.size)

    async def abandon(self, key: RecordingKey) -> Sealed | None:
        """Seal what came."""
        if key not in self.offers:
            return None
        return self._seal(key, max((end for _, end in self.durable(key)), default=0))

    def _seal(self, key: RecordingKey, size: int) -> Sealed:
        digest = hashlib.sha256(self.content(key, size)).hexdigest()
        receipt = {"v": 1, "exhibit": "ex-1", "recording": key.recording, "size": size, "sha256": digest}
        self.sealed[key] = Sealed(key, ExhibitId("ex-1"), size, digest, 7, receipt)
        return self.sealed[key]
