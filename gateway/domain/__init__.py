"""Frozen records and checked value types: the words every room shares."""
