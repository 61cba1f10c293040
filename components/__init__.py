"""The ComponentResources of the program.

`gcp` creates Google Cloud resources, `platform` what all serving stacks of a cluster share, `serving` one model's
stack. They do not import each other: `program` passes the outputs of one to the next, so the order of creation and
deletion follows from the data.
"""
