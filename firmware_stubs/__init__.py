"""The device side of Lapel, written from the reference alone: it shares no code with what it tests."""
