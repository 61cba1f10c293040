"""The fabric test: measures, inside the cluster, how fast the GPUs of an NVLink domain exchange data.

It runs as `python3 -m fabric FILE` in one pod of each node, pods of an Indexed Job, before anything is served there.
The files of this package and the few that it takes from `readiness` come from a ConfigMap; the rest is Python's
standard library, and PyTorch with NCCL, which the serving image brings. Only `measure` needs these two.

Never run with GPUs. How the pods meet, their deadlines and their verdicts were run, with other programs in the place of
`measure`.
"""
