"""An RFC 3161 query (clause 2.4.1): SHA-256 imprint, nonce, the authority's certificate asked for."""

from __future__ import annotations

import hashlib

from gateway.crypto.der import BOOLEAN_TRUE, NULL, integer, octets, oid, sequence

_SHA256 = "2.16.840.1.101.3.4.2.1"


def timestamp_query(content: bytes, nonce: int) -> bytes:
    """Ask for a time on this content; DER."""
    imprint = sequence(sequence(oid(_SHA256), NULL), octets(hashlib.sha256(content).digest()))
    return sequence(integer(1), imprint, integer(nonce), BOOLEAN_TRUE)
