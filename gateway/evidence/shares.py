"""Who may send now: rate and space of each camera and of all, what may be evidence first. Limits delay, never refuse.

Sans-IO; every refusal is StoreBusyError with the time after which asking again makes sense.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

import msgspec

from gateway.domain.evidence import RecordingKey, RecordingOffer
from gateway.domain.ids import DeviceId
from gateway.domain.time import Instant
from gateway.errors import StoreBusyError
from gateway.evidence.upload import Upload

MIB = 1024 * 1024
WINDOW_MAX = 8 * MIB
WINDOW_MIN = MIB
ACTIVE_S = 120.0
"""An upload that nothing was heard of for so long takes no part in sharing."""
SPACE_RETRY_S = 30
STARTS_S = 60.0
"""A camera may begin as many uploads as it may have open in this time, however fast it ends them."""
CAMERAS_KEPT = 4096
WANTED_MAX = 10_000
ROUTINE = ("none", "schedule", "routine", "continuous")
"""Triggers of which nobody pressed or tripped anything."""
FRESH_S = 1.0
COPY_MB_S = 8.0
"""How fast bytes of sealed parts are copied for one camera that goes on with them, where its own rate has no limit."""
COPY_S = 60.0
RESERVED = 1.25
"""What may be evidence has a quarter more room than the rest, and a second of the rate in advance."""


class Limits(msgspec.Struct, frozen=True):
    """0 is no limit. Rates in MB (10^6) a second, staging in MiB; of one camera, and of all together."""

    memory_mb: int = 64
    camera_mb_s: int = 0
    total_mb_s: int = 0
    camera_uploads: int = 256
    camera_staging_mb: int = 0
    staging_mb: int = 0


class RecordingSettings(msgspec.Struct, frozen=True):
    """Room footage may not use, limits, days a resume works, hours a camera keeps its copy."""

    reserve_mb: int = 512
    limits: Limits = Limits()
    resume_days: int = 35
    keep_hours: int = 24


class Bucket:
    """A rate with a burst; what is taken may exceed what is there, and is then waited for."""

    def __init__(self, per_s: float, now_s: float, burst_s: float = 1.0) -> None:
        """Begin full: a burst's worth of the rate."""
        self.per_s, self._burst_s, self._at_s = per_s, burst_s, now_s
        self.level = per_s * burst_s

    def fill(self, now_s: float) -> None:
        """Add what has come in since."""
        self.level = min(self.per_s * self._burst_s, self.level + (now_s - self._at_s) * self.per_s)
        self._at_s = now_s

    def wait_s(self, advance: float = 0.0) -> int:
        """Whole seconds until something may be taken; 0 when it may be now. advance: seconds of it beforehand."""
        short = -(self.level + advance * self.per_s)
        return 0 if short < 0 else max(1, ceil(short / self.per_s))


def payer(key: RecordingKey) -> DeviceId:
    """Of whose share a recording takes: a dock that may not speak for the camera spends its own."""
    return key.via or key.device


class _Camera:
    """One camera's buckets."""

    def __init__(self, limits: Limits, fair_per_s: float, now_s: float) -> None:
        self.rate = Bucket(limits.camera_mb_s * 1e6, now_s)
        self.fair = Bucket(fair_per_s, now_s)
        self.starts = Bucket(limits.camera_uploads / STARTS_S, now_s, STARTS_S)
        self.copies = Bucket((limits.camera_mb_s or COPY_MB_S) * 1e6, now_s, COPY_S)


class _Census(msgspec.Struct):
    """What is open at a moment: active uploads and staged bytes, in all and a camera; the oldest active one's key."""

    at_s: float
    known: int
    active: int = 0
    staged: int = 0
    of: dict[DeviceId, list[int]] = msgspec.field(default_factory=dict)
    oldest: dict[DeviceId | None, Upload] = msgspec.field(default_factory=dict)


class Shares:
    """Shares memory, rate and staging among cameras."""

    def __init__(self, limits: Limits, uploads: Mapping[RecordingKey, Upload]) -> None:
        """State the limits and where the open uploads are looked up."""
        self._limits, self._uploads = limits, uploads
        self._census = _Census(float("-inf"), -1)
        self._total: Bucket | None = None
        self._cameras: dict[DeviceId, _Camera] = {}
        self._wanted: set[RecordingKey] = set()
        self.counters = dict.fromkeys(
            ("held_by_camera_rate", "held_by_total_rate", "held_by_uploads", "held_by_staging", "held_by_copies"), 0
        )

    def want(self, key: RecordingKey) -> bool:
        """Somebody asks for this recording: it goes first from now on; False where too many do already."""
        if len(self._wanted) < WANTED_MAX:
            self._wanted.add(key)
        return key in self._wanted

    def ended(self, key: RecordingKey) -> None:
        """It is sealed: nobody waits for it any more."""
        self._wanted.discard(key)

    def first(self, offer: RecordingOffer) -> bool:
        """Whether a recording goes first: asked for, lost here, of an incident, triggered, or evidential."""
        return offer.key in self._wanted or offer.receipt is not None or says_evidence(offer)

    def window_bytes(self, device: DeviceId, now: Instant) -> int:
        """How far beyond what is durable a camera may send on each recording: its part of memory, or of a second."""
        census, limits = self._counted(now), self._limits
        share = limits.memory_mb * MIB // max(1, census.active)
        if (mine := census.of.get(device, [0, 0])[0]) > 1:
            share = min(share, limits.memory_mb * MIB // 2 // mine)  # one camera alone never fills memory
        if limits.total_mb_s:
            share = min(share, limits.total_mb_s * 1_000_000 // max(1, census.active))
        if limits.camera_mb_s:
            share = min(share, limits.camera_mb_s * 1_000_000)
        return max(WINDOW_MIN, min(WINDOW_MAX, share))

    def check_start(self, key: RecordingKey, now: Instant, *, begins: bool = False) -> None:
        """StoreBusyError where a camera opens more uploads, or faster, than it may; cheap, so that asking is too."""
        if not self._limits.camera_uploads or key in self._uploads:
            return
        device = payer(key)
        census, starts = self._counted(now), self._camera(device, now).starts
        starts.fill(now.mono_s)
        if census.of.get(device, [0, 0])[0] >= self._limits.camera_uploads or starts.level < 1:
            self._held("uploads", SPACE_RETRY_S)
        starts.level -= begins

    def check_copy(self, key: RecordingKey, octets: int, now: Instant) -> None:
        """StoreBusyError where a camera has sealed parts copied faster than it may; else these bytes are counted.

        Otherwise one that begins, sends a byte and aborts, over and over, writes the whole part each time.
        """
        if not octets:
            return
        copies = self._camera(payer(key), now).copies
        copies.fill(now.mono_s)
        if wait_s := copies.wait_s():
            self._held("copies", wait_s)
        copies.level -= octets

    def check_segment(self, upload: Upload, octets: int, now: Instant) -> None:
        """StoreBusyError where room or rate is short for this upload now; else the bytes are counted as taken."""
        first = self.first(upload.offer)
        self._check_staging(upload, now, RESERVED if first else 1.0)
        advance = 1.0 if first else 0.0
        camera = self._camera(payer(upload.key), now)
        buckets = [camera.rate] if self._limits.camera_mb_s else []
        if buckets and (wait_s := camera.rate.wait_s(advance)):
            self._held("camera_rate", wait_s)
        if self._total is not None:
            # A camera's fair part is always its own; what others leave goes to whoever comes.
            wait_s = min(self._total.wait_s(advance), camera.fair.wait_s())
            if wait_s:
                self._held("total_rate", wait_s)
            buckets += [self._total, camera.fair]
        for bucket in buckets:
            bucket.level -= octets

    def too_much(self, now: Instant) -> list[RecordingKey]:
        """Idle uploads to be sealed as far as they came, since staging is at a limit: the longest idle first."""
        census, limits = self._counted(now), self._limits
        over = {
            device: octets - limits.camera_staging_mb * MIB
            for device, (_, octets) in census.of.items()
            if limits.camera_staging_mb
        }
        in_all = census.staged - limits.staging_mb * MIB if limits.staging_mb else -1
        found = []
        for upload in sorted(self._uploads.values(), key=lambda upload: upload.heard.mono_s):
            mine = over.get(payer(upload.key), -1)
            if now.mono_s - upload.heard.mono_s <= ACTIVE_S or (mine < 0 and in_all < 0):
                continue
            octets = upload.staged.durable.octets
            found.append(upload.key)
            in_all -= octets
            over[payer(upload.key)] = mine - octets
        return found

    def short(self, now: Instant) -> str | None:
        """In words, where staging is at its limit for all."""
        limit = self._limits.staging_mb
        if limit and self._counted(now).staged >= limit * MIB:
            return f"staging holds {limit} MiB, its limit: only the oldest uploads go on until some are sealed"
        return None

    def _held(self, by: str, wait_s: int) -> None:
        self.counters[f"held_by_{by}"] += 1
        raise StoreBusyError(f"limit: {by}", wait_s)

    def _check_staging(self, upload: Upload, now: Instant, reserved: float) -> None:
        """At a limit, the oldest upload of those that share it goes on, so that something always ends."""
        census, limits, device = self._counted(now), self._limits, payer(upload.key)
        mine = census.of.get(device, [0, 0])[1]
        over = limits.camera_staging_mb and mine >= limits.camera_staging_mb * MIB * reserved
        if over and census.oldest.get(device) is not upload:
            self._held("staging", SPACE_RETRY_S)
        over = limits.staging_mb and census.staged >= limits.staging_mb * MIB * reserved
        if over and census.oldest.get(None) is not upload:
            self._held("staging", SPACE_RETRY_S)

    def _camera(self, device: DeviceId, now: Instant) -> _Camera:
        """A camera's buckets, filled; those of cameras that are gone are forgotten."""
        fair_per_s = self._limits.total_mb_s * 1e6 / max(1, len(self._counted(now).of))
        found = self._cameras.get(device)
        if found is None:
            if len(self._cameras) >= CAMERAS_KEPT:
                self._cameras = {name: one for name, one in self._cameras.items() if name in self._census.of}
            found = self._cameras[device] = _Camera(self._limits, fair_per_s, now.mono_s)
        found.rate.fill(now.mono_s)
        found.fair.per_s = fair_per_s
        found.fair.fill(now.mono_s)
        if self._limits.total_mb_s:
            self._total = self._total or Bucket(self._limits.total_mb_s * 1e6, now.mono_s)
            self._total.fill(now.mono_s)
        return found

    def _counted(self, now: Instant) -> _Census:
        """The census, taken anew each second and whenever an upload begins or ends."""
        if now.mono_s - self._census.at_s >= FRESH_S or self._census.known != len(self._uploads):
            self._census = self._count(now)
        return self._census

    def _count(self, now: Instant) -> _Census:
        census = _Census(now.mono_s, len(self._uploads))
        for upload in self._uploads.values():
            octets = upload.staged.durable.octets
            mine = census.of.setdefault(payer(upload.key), [0, 0])
            census.staged += octets
            mine[1] += octets
            if now.mono_s - upload.heard.mono_s <= ACTIVE_S:
                census.active += 1
                mine[0] += 1
                for whose in (payer(upload.key), None):
                    oldest = census.oldest.setdefault(whose, upload)
                    if upload.exhibit < oldest.exhibit:
                        census.oldest[whose] = upload
        return census


def says_evidence(offer: RecordingOffer) -> bool:
    """Whether a camera says that somebody pressed or tripped something, or names an incident, or tags it so."""
    said = offer.user_data
    tags, trigger = said.get("tags"), said.get("trigger")
    tagged = "evidential" in tags if isinstance(tags, list) else isinstance(tags, dict) and tags.get("evidential")
    triggered = isinstance(trigger, str) and trigger and trigger.lower() not in ROUTINE
    return bool(said.get("incident") or said.get("evidential") is True or tagged or triggered)
