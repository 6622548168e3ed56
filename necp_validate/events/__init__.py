"""The contract: topics, envelope, the four domains' events, their versions and schemas."""
