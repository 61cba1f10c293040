"""Tests that take seconds: pure rules, the program under mocks, guards on the source."""
