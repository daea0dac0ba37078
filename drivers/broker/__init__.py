"""What the gateway asks of the broker itself, and does for devices there."""
