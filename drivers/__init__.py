"""One folder a device; nothing here is named by the gateway but through drivers.registry."""
