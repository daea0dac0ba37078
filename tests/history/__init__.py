"""Position history: roots, proofs, deletion."""
