"""Exports: a BagIt bag that a court checks with stock tools (docs/formats.md, "exports")."""
