"""The program behind `make demo`: from a trained network to right answers, on a real Kubernetes."""
