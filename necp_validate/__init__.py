"""necp-validate: evidence and a verdict for every claim of a Kafka-based event-driven game backend."""

__version__ = "0.1.0"
