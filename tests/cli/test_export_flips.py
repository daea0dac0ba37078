"""Any single flipped byte, in any file of a bag: one of the printed steps fails, by the system's own tools alone.

Every byte of the small files; of the others as many as LAPEL_FLIPS says, drawn by LAPEL_SEED. `make soak` has them all.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from pathlib import Path

import pytest

from gateway.evidence_half import records_at
from tests.api.site import Site, noise
from tests.cli.bagged import WORDS, steps, stock
from tests.cli.conftest import outside
from tests.faults.figures import noted

FLIPS = int(os.environ.get("LAPEL_FLIPS", "3"))
SEED = int(os.environ.get("LAPEL_SEED", "7"))
SMALL = 60
TOKEN = "tagmanifest-sha256.txt.p7s.tsr"
TOLD = ("Time stamp", "Serial number", "Hash Algorithm", "    00")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of one small exhibit, stamped."""
    home = tmp_path_factory.mktemp("flips")
    with Site(home / "site") as site:
        exhibit = site.seal(noise(300), "r1").exhibit
    store = home / "site/store"
    done = outside("evidence", "export", exhibit, "-o", home / "bag", *WORDS, "--own-time", "--data", store)
    assert done.code == 0, done.err
    with records_at(store / "evidence", store / "keys") as opened:
        assert opened.catalogue.custody(exhibit)[-1].kind == "export"
    return home / "bag"


def files(bag: Path) -> list[Path]:
    """Every file of it."""
    return sorted(each for each in bag.rglob("*") if each.is_file())


def places(path: Path, most: int = FLIPS) -> list[int]:
    """Which bytes of a file are flipped."""
    size = path.stat().st_size
    if size <= SMALL or most >= size:
        return list(range(size))
    chance = random.Random(f"{SEED} {path.name}")
    return sorted({0, size - 1, *(chance.randrange(size) for _ in range(most))})


def quick(bag: Path) -> str:
    """Steps 2 to 4: what they do not notice, steps 5 and 6 have to."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", (bag / "VERIFY.md").read_text(), re.MULTILINE | re.DOTALL)
    return "\n".join((blocks[0], *blocks[2:5]))


def flipped(path: Path, at: int, chance: random.Random) -> bytes:
    """The file's bytes, one of them another."""
    whole = path.read_bytes()
    return whole[:at] + bytes((whole[at] ^ chance.randrange(1, 256),)) + whole[at + 1 :]


def test_any_flipped_byte_fails_a_step(made: Path) -> None:
    """In every file but the token, whose own bytes are not all covered by anything."""
    script, whole, chance, tried = quick(made), steps(made), random.Random(SEED), 0
    assert stock(made, whole)[0] == 0
    for path in files(made):
        if path.name == TOKEN:
            continue
        before = path.read_bytes()
        try:
            for at in places(path):
                path.write_bytes(flipped(path, at, chance))
                assert stock(made, script)[0] != 0 or stock(made, whole)[0] != 0, (path.name, at)
                path.write_bytes(before)
                tried += 1
        finally:
            path.write_bytes(before)
    assert stock(made, whole)[0] == 0
    noted("flipped bytes", tried=tried, unnoticed=0)


def test_a_flipped_byte_of_the_token(made: Path) -> None:
    """Fails, or leaves imprint, time, serial number and signature as they were."""
    path, chance = made / TOKEN, random.Random(SEED + 1)
    whole, before = path.read_bytes(), told(path)
    assert len(before) >= 4
    verify = ["openssl", "ts", "-verify", "-data", made / TOKEN.removesuffix(".tsr"), "-in", path]
    verify += ["-CAfile", made / "trust/timestamp.pem"]
    refused = taken = 0
    for at in places(path, 10 * FLIPS):
        path.write_bytes(flipped(path, at, chance))
        if subprocess.run(verify, capture_output=True).returncode != 0:
            refused += 1
        else:
            assert told(path) == before, at
            taken += 1
        path.write_bytes(whole)
    assert refused > taken
    noted("flipped bytes of the token", refused=refused, changed_nothing=taken)


def told(path: Path) -> list[str]:
    """What the token says that counts, as openssl reads it, and the signature that its signer made."""
    done = subprocess.run(["openssl", "ts", "-reply", "-in", path, "-text"], capture_output=True, text=True)
    token = subprocess.run(["openssl", "ts", "-reply", "-in", path, "-token_out"], capture_output=True).stdout
    parsed = subprocess.run(["openssl", "asn1parse", "-inform", "DER"], input=token, capture_output=True).stdout
    signature = [line.split(b":")[-1] for line in parsed.splitlines() if b":d=5 " in line and b"OCTET STRING" in line]
    return [line for line in done.stdout.splitlines() if line.startswith(TOLD)] + [each.decode() for each in signature]


def test_in_an_empty_folder_with_nothing_but_the_system(made: Path, tmp_path: Path) -> None:
    """The steps want the bag's place and the system's tools, and no environment else; they leave nothing behind."""
    command = ["env", "-i", "PATH=/usr/bin:/bin", f"BAG={made}", "bash", "-c", steps(made)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, "PASSED: 1 exhibits" in done.stdout) == (0, True), done.stderr
    assert "Signature stamped: " in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_duplicated_or_added_parts_of_a_line_are_none(made: Path) -> None:
    """A line of custody has one shape: what a reader of JSON would take otherwise is refused."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", (made / "VERIFY.md").read_text(), re.MULTILINE | re.DOTALL)
    script = "\n".join((blocks[0], *blocks[4:]))
    (path,) = made.glob("data/*/custody.jsonl")
    whole = path.read_text()
    assert stock(made, script)[0] == 0
    try:
        for change in (
            lambda line: line.replace('"v":1', '"leaf":"e30=","v":1'),
            lambda line: line.replace('"v":1', '"more":1,"v":1'),
            lambda line: line.replace(",", ", ", 1),
        ):
            path.write_text("".join(f"{change(line)}\n" for line in whole.splitlines()))
            code, said = stock(made, script)
            assert (code, "not a line of custody" in said) == (3, True), said
    finally:
        path.write_text(whole)
