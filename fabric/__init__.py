"""The fabric test: measures, inside the cluster, how fast the GPUs of an NVLink domain exchange data.

It runs as `python3 -m fabric FILE` in the pods of an Indexed Job, one on each node, before anything is served there.
The files of this package and the few that it uses from `readiness` come from a ConfigMap; the rest is Python's
standard library, and PyTorch with NCCL from the serving image. Only `measure` needs these two.

Never run with GPUs. Rendezvous, deadlines and verdicts of the pods were run, with other programs in place of `measure`.
"""
