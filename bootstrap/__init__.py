"""What a team needs once, before the first stack: state bucket, key, and the identities of its workflows.

A Pulumi program of its own (`pulumi -C bootstrap up`), because the stacks of the main program live in what it creates.
"""
