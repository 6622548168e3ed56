"""The reference gateway: real-time play in front of the event backbone, a service configured by its environment."""
