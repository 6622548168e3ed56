"""Checks of the real-time gateway, as players saw it."""
