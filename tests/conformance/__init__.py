"""What the program registers, against schemas that others publish."""
