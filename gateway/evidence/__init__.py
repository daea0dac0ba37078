"""The signed evidence store."""
