"""What the automaton of one grammar may take while texts are followed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomatonLimits:
    """Each is finite and > 0; what is passed raises GrammarLimitError.

    Attributes
    ----------
    max_courses : configurations that are met while one state is made
    max_states : sets of configurations
    max_text_states : states of the languages of texts, next ones included
    max_stacks : stacks of calls in all configurations
    max_bytes : memory, kept masks included
    mask_bytes : memory for kept masks; when it is full they are forgotten
    """

    max_courses: int = 1 << 18
    max_states: int = 1 << 20
    max_text_states: int = 1 << 15
    max_stacks: int = 1 << 20
    max_bytes: int = 64 << 20
    mask_bytes: int = 4 << 20
