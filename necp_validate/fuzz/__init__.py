"""Fuzzing: events that nobody thought of, against the reference system and against foreign schemas."""
