"""Instrumented Kafka clients, and the accounting of what they sent and read. The only writers of history."""
