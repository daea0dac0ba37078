"""What `lapel doctor` says of keys: who may use them, and what was begun and not finished."""

from __future__ import annotations

from pathlib import Path

from gateway.cli.doctor_words import Finding
from gateway.crypto.key_files import LogSigner, signing_key
from gateway.crypto.notes import parse_vkey
from gateway.crypto.permissions import too_open
from gateway.crypto.signers import KeyFiles, key_files
from gateway.errors import ConfigError
from gateway.evidence.log.known_keys import KnownKeys
from gateway.settings import Settings

SECRETS = ("roster.db", "evidence/keys.db", "evidence/evidence.db")


def look(settings: Settings) -> list[Finding]:
    """Permissions of every key; a log without its key; keys that were made and never used; certificates that wait."""
    if not settings.keys.is_dir():
        return []
    found = [_open(each.path, each.what) for each in too_open((settings.keys, settings.authority))]
    found += _secrets(settings)
    found += _log(settings)
    for waiting in sorted(settings.keys.glob("*.crt.next")):
        command = f"lapel keys rotate {waiting.name.split('.')[0].split('-')[0]}"
        found.append(Finding(str(waiting), "wrong", "a certificate was made and is not on record", f"Run `{command}`."))
    return found or [Finding("keys", "fine", f"{settings.keys}: only their owner may use the keys")]


def _open(path: Path, what: str) -> Finding:
    return Finding(str(path), "wrong", what, "Change its mode; if others could read it, rotate it (docs/keys.md).")


def _secrets(settings: Settings) -> list[Finding]:
    """Files that hold hashes of passwords and tokens, or wrapped keys; and the broker's password."""
    paths = [settings.data / name for name in SECRETS]
    if settings.broker.password_file:
        paths.append(Path(settings.broker.password_file))
    opened = [path for path in paths if path.exists() and path.stat().st_mode & 0o077]
    return [Finding(str(path), "wrong", "group or others may read this file", "chmod 600.") for path in opened]


def _log(settings: Settings) -> list[Finding]:
    vkey = settings.data / "evidence" / "log" / "log.vkey"
    try:
        current = parse_vkey(vkey.read_text("utf-8").removesuffix("\n"))
        known = KnownKeys(vkey.parent, current)
        known.reload()
        files = key_files(settings.log.signer, settings.keys)
        kept = {files.path(number): _signer(files, number) for number in files.numbers}
    except (OSError, ValueError, ConfigError):
        return []  # there is no log yet, or a start says what is wrong with it
    used = {current.public, *(rotation.old.public for rotation in known.rotations)}
    found = [
        Finding(str(path), "note", "this key was made by a rotation that did not take place", "Remove it.")
        for path, signer in kept.items()
        if signer.public not in used
    ]
    if current.public not in {signer.public for signer in kept.values()}:
        what = f"the private key of {current.name}+{current.key_id.hex()} is not here: the log cannot be written"
        found.append(Finding(str(files.first), "wrong", what, "Bring it back from the backup (docs/keys.md)."))
    return found


def _signer(files: KeyFiles, number: int) -> LogSigner:
    return signing_key(files.path(number))
