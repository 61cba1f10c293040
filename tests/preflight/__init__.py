"""The preflight: every check against recorded answers of Google's services."""
