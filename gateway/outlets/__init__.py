"""Clients of other people's servers; the only place of the HTTP client."""
