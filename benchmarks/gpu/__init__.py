"""Measurements on a GPU: steps, kernels, ODE blocks, trainings."""
