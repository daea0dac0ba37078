"""The verifier: re-derives everything from the files alone, shares no code with the writers."""
