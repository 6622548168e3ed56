"""The checks: one pure function per anomaly."""
