"""Second places: everything that the store keeps, copied, read back and counted (docs/formats.md, "copies")."""
