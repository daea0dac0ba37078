"""Exports for tests: a bag made by the command, its printed steps run by stock tools, and an insider's changes."""

from __future__ import annotations

import asyncio
import hashlib
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from gateway.crypto.export_keys import export_signer
from gateway.crypto.timestamp_query import timestamp_query
from gateway.outlets.own_timestamps import OwnTimestamps

WORDS = ("--purpose", "trial R v X", "--recipient", "CPS East", "--legal-gateway", "CPIA 1996")


def steps(bag: Path) -> str:
    """The printed steps as one script."""
    return "\n".join(re.findall(r"^```bash\n(.*?)^```$", (bag / "VERIFY.md").read_text(), re.MULTILINE | re.DOTALL))


def stock(bag: Path, script: str) -> tuple[int, str]:
    """Run them with nothing but the system's own tools: exit code, all that was said."""
    command = ["env", "-i", "PATH=/usr/bin:/bin", "bash", "-c", script]
    done = subprocess.run(command, cwd=bag, capture_output=True, text=True, errors="replace", timeout=60)
    return done.returncode, done.stdout + done.stderr


def sealed_again(bag: Path, keys: Path) -> None:
    """What an insider with every key of the store can do: digests, signature and time-stamp made anew."""
    _rewrite(bag, "manifest-sha256.txt", lambda name: name.startswith("data/"))
    _rewrite(bag, "tagmanifest-sha256.txt", lambda name: not name.startswith(("data/", "tagmanifest")))
    signer = export_signer(keys, "x", datetime.now(UTC))
    signature = signer.sign((bag / "tagmanifest-sha256.txt").read_bytes(), datetime.now(UTC))
    (bag / "tagmanifest-sha256.txt.p7s").write_bytes(signature)
    token = asyncio.run(OwnTimestamps(keys).stamp(timestamp_query(signature, 1)))
    (bag / "tagmanifest-sha256.txt.p7s.tsr").write_bytes(token)


def _rewrite(bag: Path, manifest: str, belongs: object) -> None:
    lines = []
    for path in sorted(bag.rglob("*")):
        name = str(path.relative_to(bag))
        if path.is_file() and belongs(name):  # type: ignore[operator]
            lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n")
    (bag / manifest).write_text("".join(lines))
