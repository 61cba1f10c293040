"""The readiness check, without a cluster."""
