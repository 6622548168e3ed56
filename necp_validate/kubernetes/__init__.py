"""A real Kubernetes on this machine, built from its sources, and the proof of experiments and manifests on it."""
