"""Keys, signatures, age, canonical JSON: the one door to cryptography."""
