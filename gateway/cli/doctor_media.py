"""`lapel doctor` on this machine's video tools: whether they are there, and how well the cage around them holds."""

from __future__ import annotations

import asyncio

from gateway.cli.doctor_words import Finding
from gateway.media.child import program, report
from gateway.settings import Settings

_INSTALL = "Install ffmpeg (it brings both), or name the commands in [media]; until then recordings are not examined."
_GAPS = {
    "network": "allow user namespaces to this user (a sysctl, AppArmor or the container forbids it)",
    "processes": "allow user namespaces to this user",
    "files": "run a kernel with Landlock (5.13, lsm=landlock)",
    "calls": "run a kernel with seccomp filters",
}


def look(settings: Settings) -> list[Finding]:
    """Findings on the `[media]` section; none where it is switched off."""
    if not (settings.media.enabled and settings.evidence.enabled):
        return []
    missing = [name for name in (settings.media.ffprobe, settings.media.ffmpeg) if program(name) is None]
    if missing:
        return [Finding("media", "note", f"{' and '.join(missing)} not found", _INSTALL)]
    try:
        gaps = {name: why for name, why in asyncio.run(report()).items() if why != "yes"}
    except (OSError, TimeoutError, ValueError) as problem:
        return [Finding("media", "wrong", f"the cage cannot be put up: {problem}", "Set [media] enabled = false.")]
    if not gaps:
        return [Finding("media", "fine", "the ffmpeg commands are there, and every bar of their cage holds")]
    said = "; ".join(f"{name}: {why}" for name, why in gaps.items())
    do = "; ".join(_GAPS[name] for name in gaps if name in _GAPS) or "See the gateway's log."
    return [Finding("media", "note", f"the cage around the ffmpeg commands has gaps ({said})", do)]
