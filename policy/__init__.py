"""The policy pack: rules on what a program registers, judged by the engine before anything is created.

The rules (`catalog`) are plain functions of a resource's inputs and options, and import neither Pulumi nor the program
that they judge. `pack` hands them to Pulumi's policy SDK, in the pack's own environment (`requirements.txt`).
"""
