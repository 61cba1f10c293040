"""Developer tools: they generate data files and reports, never resources."""
