"""The teardown barrier: a teardown waits in it until a stack's last object is gone.

It runs as `python3 -m barrier FILE` in a Deployment in the stack's namespace, with the files of this package and some
of `readiness` from a ConfigMap. Only Python's standard library is available: nothing else of the program is imported.
"""
