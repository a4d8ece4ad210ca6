"""JSON Schema in, the program of its JSON texts out."""
