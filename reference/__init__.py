"""Facts that hold without this program: A4X machines, GKE, Dynamo and KAI releases, names, addresses.

Every number has its source beside it. Pure Python, no Pulumi: settings, components, preflight and tests share these.
"""
