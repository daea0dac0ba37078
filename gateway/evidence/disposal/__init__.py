"""Disposal: the one path by which anything leaves the store: asked for, approved, waited for, destroyed, certified."""
