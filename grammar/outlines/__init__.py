"""Grammars on outlines-core: an automaton of regular expressions, for comparison."""
