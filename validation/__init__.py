"""How a wrong input is found and reported: problems, strict models, plain JSON. Pure Python, no Pulumi."""
