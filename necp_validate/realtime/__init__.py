"""The wire format between the real-time gateway and its players; ``docs/gateway-protocol.md`` is its reference."""
