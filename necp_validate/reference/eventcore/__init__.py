"""The event core: consumes the four domains' events and accounts for each of them in receipts."""
