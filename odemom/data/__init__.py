"""Data for experiments: random matrices, nested rings, and images in batches."""
