"""Coverage-guided fuzzing of the parsers that stand towards radios, cameras and beacons."""
