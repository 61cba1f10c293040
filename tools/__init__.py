"""Scripts of the project's that a person runs: they make data files and reports, never resources."""
