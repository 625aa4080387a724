"""Data for experiments: random matrices, and images in batches."""
