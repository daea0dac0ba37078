"""TETRA terminals on a serial PEI."""
