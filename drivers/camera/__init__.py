"""Body-worn cameras over MQTT."""
