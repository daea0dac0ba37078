"""Lapel: the gateway between officers' devices, the evidence store and the position feed."""
