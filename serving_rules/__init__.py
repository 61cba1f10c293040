"""Validation of layouts: the model of `sglang_configs/`, SGLang's arguments, memory estimates, rules.

Pure Python, no Pulumi: a wrong value is reported before an engine starts.
"""
