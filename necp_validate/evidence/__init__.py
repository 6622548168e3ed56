"""What is due of a run, what there is of it, and whether it adds up."""
