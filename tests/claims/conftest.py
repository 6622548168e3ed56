"""Being here, it puts this folder on the path of tests further down: `histories` and `sound` are for all."""
