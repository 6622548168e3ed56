"""The reference system: the default target, judged from outside like any other. Never imports the suite."""
