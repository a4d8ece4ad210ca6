"""Numba functions over arrays and scalars: no classes, no validation, no I/O."""
