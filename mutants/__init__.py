"""Faults of the program, one wrong line each, that its tests must catch: `make mutants`.

`catalog` is the list; who moves code corrects path and text there. `trial` plants a fault in a copy of the project and
runs the test that is to catch it.
"""
