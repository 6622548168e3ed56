"""How each domain's events are drawn by chance: ``valid`` ones and ``cheat`` ones."""
