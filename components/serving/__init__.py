"""One model's serving stack: the Kubernetes objects that run it, its readiness check, its benchmark client."""
