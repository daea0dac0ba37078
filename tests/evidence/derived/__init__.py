"""Clips and derivatives."""
