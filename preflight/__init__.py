"""Questions to the cloud before `pulumi up` spends an hour on the answers.

Reads the stack config through `settings`, asks Google Cloud with the user's own credentials, changes nothing.
No preview and no resource depends on it: the program never imports this package, and this package never imports
what makes resources.
"""
