"""From frame to room: channel, intake, journal, quarantine, resolve, screen, route."""
