"""Slow, readable twins of the product's arithmetic, written from the definitions and the papers.

Nothing here is fast and nothing here imports the kernels: when product and twin disagree, one of
them misread the definition.
"""
