"""Kubernetes manifests and commands as plain data: the graph by API version, launch script, pod templates.

Pure Python, no Pulumi: `components/serving` applies them.
"""
