"""Coverage-guided fuzzing of the parsers that stand towards the radio."""
