"""Staging and write-once age blobs."""
