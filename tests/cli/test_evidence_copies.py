"""`lapel evidence copies | promote`, `verify --copy --keys`, and what `doctor` says of second places."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from gateway.cli import doctor_copies
from gateway.settings import parse
from tests.cli.conftest import Lapel
from tests.evidence.copies.lab import Store, quick, until


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with an exhibit, copied."""
    quick(monkeypatch)
    store = Store(tmp_path)
    store.seal(1, 10_000)

    async def copied() -> None:
        async with store.copying() as copies:
            await until(store.copied, copies)

    asyncio.run(copied())
    store.close()
    return store


def config(store: Store) -> Path:
    """A configuration for it."""
    path = store.directory.parent / "lapel.toml"
    places = json.dumps([str(place) for place in store.paths])
    path.write_text(
        f'[gateway]\ndata = "{store.directory}"\n[log]\norigin = "lapel.test/log"\n'
        f"[store]\ncopies = 2\ncopy_to = {places}\n"
    )
    return path


def test_how_places_stand(lapel: Lapel, made: Store) -> None:
    """A table, a document; missing blobs by name; exit 1 where a place is away."""
    done = lapel("evidence", "copies", "-c", config(made), "--json")
    place = done.json["places"][0]
    assert (done.code, done.json["wanted"], done.json["short"]) == (0, 2, 0)
    assert (place["state"], place["exhibits"], place["missing"], place["same_disk"]) == ("ok", 1, [], True)
    assert "one disk's end is both's" in lapel("evidence", "copies", "-c", config(made)).out
    blob = next(made.paths[0].glob("evidence/blobs/*/*/*.age"))
    blob.unlink()
    assert lapel("evidence", "copies", "-c", config(made), "--json").json["places"][0]["missing"] == ["X-000000000001"]
    shutil.rmtree(made.paths[0])
    done = lapel("evidence", "copies", "--data", made.directory, "--copy", made.paths[0])
    assert (done.code, "away" in done.out) == (1, True)
    made.paths[0].mkdir()
    assert "not mounted" in lapel("evidence", "copies", "-c", config(made)).out
    assert "taken as new" in lapel("evidence", "copies", "-c", config(made), "--new", made.paths[0]).out
    assert lapel("evidence", "copies", "-c", config(made), "--json").json["places"][0]["state"] == "new"
    assert lapel("evidence", "copies", "-c", config(made), "--new", "/elsewhere").code == 2
    assert lapel("evidence", "copies", "-c", config(made), "--copy", "/elsewhere").code == 2


def test_n_of_n_in_lists(lapel: Lapel, made: Store) -> None:
    """What is verified, of what is wanted."""
    listed = lapel("evidence", "list", "-c", config(made))
    assert "2/2" in listed.out
    shown = lapel("evidence", "show", "X-000000000001", "-c", config(made), "--json").json
    assert (shown["exhibit"]["copies"], shown["copies_wanted"]) == (2, 2)


def test_verified_with_its_copies(lapel: Lapel, made: Store) -> None:
    """One document; exit 3 with the copy named where it lies."""
    words = ("evidence", "verify", "--all", "--copy", made.paths[0], "-c", config(made))
    done = lapel(*words, "--json")
    assert (done.code, done.json["ok"], done.json["copies"][0]["place"]) == (0, True, str(made.paths[0]))
    blob = next(made.paths[0].glob("evidence/blobs/*/*/*.age"))
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    done = lapel(*words)
    assert (done.code, blob.name in done.err) == (3, True)
    assert lapel("evidence", "verify", "--data", made.paths[0]).code == 3
    blob.unlink()
    assert lapel(*words).code == 3


def test_a_copy_is_a_store(lapel: Lapel, made: Store) -> None:
    """With its keys and without; promoted, it is one for every command."""
    keys = made.directory / "keys"
    done = lapel("evidence", "verify", "--data", made.paths[0])
    assert (done.code, "no keys given" in done.out) == (0, True)
    assert "wrapped keys" in lapel("evidence", "verify", "--data", made.paths[0], "--keys", keys).out
    done = lapel("evidence", "promote", made.paths[0], "--json")
    assert (done.code, done.json["promoted"]["lacking"]) == (0, [])
    assert lapel("evidence", "promote", made.paths[0]).code == 1
    shutil.copytree(keys, made.paths[0] / "keys")
    assert lapel("evidence", "list", "--data", made.paths[0], "--json").json["exhibits"][0]["copies"] == 2
    assert lapel("evidence", "verify", "--all", "--data", made.paths[0]).code == 0


def test_promotion_names_what_was_not_copied(lapel: Lapel, made: Store) -> None:
    """Exit 1, by name."""
    next(made.paths[0].glob("evidence/blobs/*/*/*.age")).unlink()
    done = lapel("evidence", "promote", made.paths[0])
    assert (done.code, "X-000000000001" in done.err) == (1, True)


def test_what_the_doctor_says(made: Store, tmp_path: Path) -> None:
    """Of each place, whether it can be written to, and by whom."""

    def said(*places: Path) -> list[str]:
        store = {"copies": 1, "copy_to": [str(place) for place in places]}
        return [
            f"{one.verdict}: {one.what}"
            for one in doctor_copies.look(parse({"gateway": {"data": str(made.directory)}, "store": store}))
        ]

    assert said() == ["note: evidence lies on one disk"]
    assert said(made.paths[0]) == ["note: it is on the first store's file system: both end together"]
    assert said(tmp_path / "none") == ["wrong: it is not there"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    assert said(tmp_path / "full") == ["wrong: it is not empty, and nobody's copy"]
    (tmp_path / "full/copy.json").write_text("{}")
    assert "not a copy's mark" in said(tmp_path / "full")[0]
    shutil.rmtree(made.paths[0])
    made.paths[0].mkdir()
    assert "was there, and is not" in said(made.paths[0])[0]
