"""Fuzzing: events from schemas, mutations of them, and what must become of each."""
