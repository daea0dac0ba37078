"""A reader of a log who remembers: every checkpoint must extend the last, every new entry must be what is signed."""
