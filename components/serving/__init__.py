"""One model's serving stack: its layout as data, and the Kubernetes objects that run it.

`layout`, `rules`, `launch`, `graph` and `commands` are plain Python without a Pulumi import: what they compute can
be tested, and a wrong value told, before an engine starts. `stack` and `benchmark` are the components.
"""
