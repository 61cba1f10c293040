"""Google Cloud, as the embedded cloud plays it: admission, outputs, functions."""
