"""The readiness check: waits, inside the cluster, until a serving stack answers, or says why it does not.

It runs as `python3 -m readiness FILE` in a Job in the stack's namespace, with the files of this package from a
ConfigMap. Only Python's standard library is available, so nothing else of the program is imported.
"""
