"""A small program for the rehearsal, and what is done to it."""
