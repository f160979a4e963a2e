"""The feature engine beside its bars and its peers: `python -m benchmarks.features [--size full] [--only NAME …]`."""
