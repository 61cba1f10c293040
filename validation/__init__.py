"""How invalid input is found and reported: problems, strict models, plain JSON. Pure Python, no Pulumi."""
