"""Players on the real-time gateway: they move, fight, trade and talk, and note everything they see."""
