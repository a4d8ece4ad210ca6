"""The automaton of a grammar, the tokens it walks over, and the matcher of one text."""
