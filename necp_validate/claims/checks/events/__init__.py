"""Checks of the events themselves: delivery, order, outcomes, transactions, the books."""
