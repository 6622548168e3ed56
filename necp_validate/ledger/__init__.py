"""The account of every event: what was sent, what became of it, and what a fresh reader found."""
