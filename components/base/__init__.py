"""Facts of the field, in plain Python: A4X machines, names and labels, Dynamo releases.

No Pulumi import lives here, so settings, rules and tests can use these facts without an engine.
"""
