"""Kernels of the grammar automaton: arrays and scalars only."""
