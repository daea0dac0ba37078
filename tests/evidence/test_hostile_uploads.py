"""What a camera says of a recording, or one broken upload, costs nobody else anything, at the next start least."""

import asyncio
import json
import threading

import pytest

from drivers.camera import wire
from gateway.domain.evidence import Segment
from gateway.errors import IntegrityError, StoreBusyError
from gateway.evidence import upload
from tests.api.site import Site
from tests.evidence.vault.lab import KEY, Lab, fin, noise, offer, pieces, sha

TOPIC = "lapel/v1/camera/cam-0042/file/20261121T210503Z-0017/init"


@pytest.fixture
def lab(tmp_path):
    """A vault with nothing in it."""
    return Lab(tmp_path)


def nested(depth: int) -> dict:
    """User data so deep."""
    found = "x"
    for _ in range(depth):
        found = [found]
    return {"deep": found}


@pytest.mark.parametrize("depth", [40, 400, 900, 960, 980, 990])
async def test_nested_user_data_is_kept_or_named_and_survives_a_restart(lab, depth):
    """As deep as the wire lets through: it is sealed, and neither the next start nor a reader runs out of stack."""
    init = b'{"name":"a","user_data":{"deep":' + b"[" * depth + b"1" + b"]" * depth + b"}}"
    try:
        offered = wire.parse(TOPIC, init).offer
    except wire.CommandError:
        return  # refused at the door
    async with lab.running() as sink:
        await sink.begin(offered)
    async with lab.running() as sink:
        assert sink.counters["recovered"] == 1
        for piece in pieces(noise(1000), 400):
            await sink.keep(piece)
        await sink.finish(fin(noise(1000)))
    [detail] = lab.log.details("seal")
    assert json.loads(json.dumps(detail))["user_data"]["lapel:omitted"] == "nested too deeply"


async def test_ordinary_nesting_is_kept_as_it_is(lab):
    """What people write is nowhere near the limit."""
    async with lab.running() as sink:
        await sink.begin(offer(b"x", user_data=nested(20)))
        await sink.keep(pieces(b"x", 1)[0])
        await sink.finish(fin(b"x"))
    assert lab.log.details("seal")[0]["user_data"] == nested(20)


async def test_one_upload_that_cannot_be_read_shuts_nobody_out(lab):
    """Its key is damaged: it is left where it is and counted; the others go on."""
    async with lab.running() as sink:
        await sink.begin(offer(noise(1000)))
        await sink.keep(pieces(noise(1000), 400)[0])
    [exhibit] = lab.staged()
    get = lab.keyring.get

    def damaged(name):
        if exhibit in name:
            raise IntegrityError("sealed bytes do not open")
        return get(name)

    lab.keyring.get = damaged
    async with lab.running() as sink:
        assert sink.counters["unreadable"] == 1
        await sink.begin(offer(noise(500)))
        await sink.keep(pieces(noise(500), 500)[0])
        assert (await sink.finish(fin(noise(500)))).size == 500
    lab.keyring.get = get
    assert exhibit in lab.staged()


async def test_a_keyring_out_of_order_does_not_end_the_writer(lab):
    """A failed write wants a new run file, whose key can't be kept: that segment is refused, later ones are kept."""
    async with lab.running() as sink:
        await sink.begin(offer(noise(3000)))
        first, second, third = pieces(noise(3000), 1000)
        await sink.keep(first)
        next(iter(sink._uploads.values())).staged.spoil()
        put = lab.keyring.put

        def broken(name, secret):
            raise ValueError("file is not a database")

        lab.keyring.put = broken
        with pytest.raises(ValueError, match="not a database"):
            await sink.keep(second)
        lab.keyring.put = put
        async with asyncio.timeout(5):
            await sink.keep(second)
            await sink.keep(third)
            assert (await sink.finish(fin(noise(3000)))).size == 3000


async def test_a_recording_that_cannot_expire_holds_up_no_other(lab):
    """Each idle upload gets its turn, whatever becomes of the one before."""
    other = wire.parse("lapel/v1/camera/cam-0007/file/r/init", b"{}").offer
    async with lab.running() as sink:
        for offered in (offer(noise(10)), other):
            await sink.begin(offered)
        lab.clock.seconds += 40 * 86400
        abandon = sink.abandon

        async def fails_first(key):
            if key == KEY:
                raise IntegrityError("no")
            return await abandon(key)

        sink.abandon = fails_first
        assert await sink.expire() == 2
        assert [upload["device"] for upload in sink.uploads()] == ["cam-0042"]


def test_the_gateway_starts_after_a_camera_was_odd(tmp_path):
    """The whole gateway: what the deepest init left in staging is taken up again."""
    deep = b'{"name":"a","user_data":{"x":' + b"[" * 970 + b"]" * 970 + b"}}"
    found = []

    def read():
        try:
            found.append(wire.parse(TOPIC, deep).offer)
        except wire.CommandError:
            found.append(None)

    shallow = threading.Thread(target=read)  # as few frames below it as a driver's callback has
    shallow.start()
    shallow.join()
    with Site(tmp_path) as site:
        if found[0] is not None:
            site.awaited(site.gateway.evidence.recordings.begin(found[0]))
    with Site(tmp_path) as site:
        assert site.gateway.parts()["evidence"] == "ok"


async def test_islands_without_end_do_not_hold_up_the_loop(lab, monkeypatch):
    """One byte here, one there: beyond a number only what fills a gap is taken; a batch draws its state up once."""
    monkeypatch.setattr(upload, "ISLANDS_MAX", 50)
    content = noise(400)
    async with lab.running() as sink:
        await sink.begin(offer(content))
        states = await asyncio.gather(*(sink.keep(Segment(KEY, at, content[at : at + 1])) for at in range(0, 100, 2)))
        assert len({id(state.durable) for state in states}) < len(states)
        with pytest.raises(StoreBusyError, match="too_many_gaps"):
            await sink.keep(Segment(KEY, 300, content[300:301]))
        for at in range(1, 100, 2):
            await sink.keep(Segment(KEY, at, content[at : at + 1]))
        for piece in pieces(content, 100):
            await sink.keep(piece)
        assert (await sink.finish(fin(content))).sha256 == sha(content)
