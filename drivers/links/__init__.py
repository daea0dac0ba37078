"""I/O: the one importer of pyserial, the one importer of the MQTT client."""
