"""Everything that the program builds, in three rooms above one floor of facts.

``gcp`` makes Google Cloud resources, ``platform`` what all serving stacks of a cluster share, ``serving`` one
model's stack. The rooms do not import each other: `__main__` hands the outputs of one to the next, so the order of
creation and of destruction can be read off the data. ``base`` holds facts of the field and imports no Pulumi.
"""
