"""The position feed: board, nearest, emergencies, hub."""
