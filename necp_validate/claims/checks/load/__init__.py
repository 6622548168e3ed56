"""Checks of the load itself, its rates, and the processes that sent it."""
