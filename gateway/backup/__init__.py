"""Backups of a running store, what comes back of them, and the wrapped keys apart (docs/formats.md, "backups")."""
