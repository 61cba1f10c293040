"""Lists every container image and Helm chart that an environment needs, for whoever fills a mirror."""
