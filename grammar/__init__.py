"""JSON Schema and regular expressions as automata, and their bitmasks over tokens."""
