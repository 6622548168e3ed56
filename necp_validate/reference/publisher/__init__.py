"""The publisher: producers without a Kafka client of their own publish through it, up to the limit of their topic."""
