"""Instrumented Kafka clients: what sends, watches and reads back, and what asks the brokers."""
