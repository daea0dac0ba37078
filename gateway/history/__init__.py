"""Position history as evidence: the journal's files, a root an hour in the log, proofs, deletion."""
