"""The harness itself: what it records, the guards and their negative controls, the closing count."""
