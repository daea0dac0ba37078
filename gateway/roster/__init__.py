"""People, units, devices and bookings, history kept."""
