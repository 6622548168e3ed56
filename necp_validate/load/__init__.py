"""Load from Locust: users that behave like game servers, on an open-loop schedule. Runs in its own process."""
