"""Node and the npm packages of package-lock.json (integrity hashes, no host), installed once into var/ (ignored)."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
INSTALL_S = 120.0


def packages(here: Path = HERE) -> Path:
    """The folder whose node_modules has what package-lock.json names; OSError where it can't be installed."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise FileNotFoundError("node and npm")
    lock = (here / "package-lock.json").read_bytes()
    folder = (
        Path(os.environ.get("LAPEL_NODE_DIR", HERE.parents[1] / "var"))
        / f"node-{hashlib.sha256(lock).hexdigest()[:12]}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(here / name, folder)
            words = ["npm", "ci", "--omit=optional", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S)
            if done.returncode:
                raise OSError(f"npm ci: {done.stderr[-500:]}")
            (folder / "done").touch()
    return folder
