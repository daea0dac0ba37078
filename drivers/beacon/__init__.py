"""GPS beacons over MQTT."""
