"""Checks of who gets in, secrets, limits and the audit trail."""
