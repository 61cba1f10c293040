"""Checks the cloud before `pulumi up`, which would take an hour to fail.

Reads the stack config through `settings`, queries Google Cloud with the user's own credentials, changes nothing.
No preview and no resource depends on it: the program never imports this package, and this package never imports
components.
"""
