"""A camera that means ill, as a process of its own: `python -m tests.faults.hostile_camera KIND PORT RATE`.

It sends as fast as it is let until it is killed, RATE messages a second at most, and never waits for an answer.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

MIB = 1 << 20
Message = tuple[str, bytes]


def inits() -> Iterator[Message]:
    """Thousands of recordings, each offered once and never sent."""
    for number in itertools.count():
        yield f"rec-{number}/init", b'{"v":1,"name":"x","size":1000000}'


def tiny() -> Iterator[Message]:
    """One byte here, one there, of one recording without end."""
    yield "tiny/init", b'{"v":1,"name":"x"}'
    for number in itertools.count():
        yield f"tiny/{number * 2}", b"x"


def overlaps() -> Iterator[Message]:
    """The same bytes again and again, each time a little further on."""
    yield "over/init", b'{"v":1,"name":"x"}'
    for number in itertools.count():
        yield f"over/{number % 1000}", bytes(64 * 1024)


def islands() -> Iterator[Message]:
    """Large segments with gaps between, as many as fit."""
    yield "isle/init", b'{"v":1,"name":"x"}'
    for number in itertools.count():
        yield f"isle/{number * (4 * MIB + 1)}", bytes(4 * MIB)


def digests() -> Iterator[Message]:
    """Segments that are not what their topic says."""
    yield "lies/init", b'{"v":1,"name":"x"}'
    for number in itertools.count():
        yield f"lies/{number * 65536}/{'0' * 64}", bytes(65536)


def aborts() -> Iterator[Message]:
    """Recordings offered and taken back at once."""
    for number in itertools.count():
        yield f"gone-{number}/init", b'{"v":1,"name":"x"}'
        yield f"gone-{number}/abort", b""


KINDS = {kind.__name__: kind for kind in (inits, tiny, overlaps, islands, digests, aborts)}


def main(kind: str, port: int, rate: float) -> None:
    """Send until killed."""
    device = f"cam-{kind}"
    client = Client(CallbackAPIVersion.VERSION2, device)
    client.max_inflight_messages_set(100)
    client.connect("127.0.0.1", port)
    client.subscribe(f"lapel/v1/camera/{device}/response", 1)
    answers: dict[str, int] = {}

    def heard(_client: object, _user: object, message: object) -> None:
        said = json.loads(message.payload)  # type: ignore[attr-defined]
        word = f"{said.get('reason_code', 0):#x} {said.get('reason_description', '')}"
        answers[word] = answers.get(word, 0) + 1

    client.on_message = heard
    client.loop_start()
    began, told = time.monotonic(), 0.0
    for number, (leaf, payload) in enumerate(KINDS[kind]()):
        client.publish(f"lapel/v1/camera/{device}/file/{leaf}", payload, 1).wait_for_publish(10)
        now = time.monotonic() - began
        if now - told > 0.5:
            print(json.dumps({"sent": number + 1, "s": round(now, 2), "answers": answers}), flush=True)
            told = now
        time.sleep(max(0.0, (number + 1) / rate - now))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
