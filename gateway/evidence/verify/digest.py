"""A SHA-256 that runs beside reading and decrypting, in a thread of its own once there is enough to hash."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

BATCH = 1 << 18
AHEAD = 4


class Digest:
    """SHA-256 of what it is given, in order; a few batches are in memory at most. Small files need no thread."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._octets = 0
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave no thread behind."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)

    def update(self, content: bytes) -> None:
        """Take the next bytes."""
        self._waiting.append(content)
        self._octets += len(content)
        if self._octets >= BATCH:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "digest")
            while len(self._under_way) >= AHEAD:
                self._under_way.popleft().result()
            self._under_way.append(self._thread.submit(self._take, self._waiting))
            self._waiting, self._octets = [], 0

    def hexdigest(self) -> str:
        """Of everything so far."""
        while self._under_way:
            self._under_way.popleft().result()
        self._take(self._waiting)
        self._waiting, self._octets = [], 0
        return self._sha.hexdigest()

    def _take(self, batch: list[bytes]) -> None:
        for content in batch:  # never joined: what is at hand is in the processor's cache
            self._sha.update(content)
