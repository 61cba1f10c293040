"""The harness itself: what it records, the guards and their twins, the closing count."""
