"""Languages of texts: regular terms over code points, and what JSON Schema makes of them."""
