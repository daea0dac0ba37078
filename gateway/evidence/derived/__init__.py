"""Clips and derivatives: new exhibits made from a master, which is only read (docs/formats.md, "derivatives")."""
