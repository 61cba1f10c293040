"""Recovery commands that Pulumi lacks, for a state that does not match what exists."""
