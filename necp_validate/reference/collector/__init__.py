"""Security event collection: what brokers log of refusals becomes audit events."""
