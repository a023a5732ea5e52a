"""The launcher of the local cluster: a real Kubernetes on one machine, without root."""
