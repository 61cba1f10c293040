"""What stands beside the program: timeline, recovery."""
