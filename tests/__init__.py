"""Proof of the program, without a cloud: unit, conformance, engine."""
