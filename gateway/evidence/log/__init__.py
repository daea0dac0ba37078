"""The append-only log: C2SP tlog-tiles, checkpoints, proofs."""
