"""Negative probes: whatever must be refused is tried for real, on every listener and for every principal."""
