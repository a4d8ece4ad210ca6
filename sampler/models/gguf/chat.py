"""`ChatTemplate`: how a model wants a conversation to be written.

Rule of the file: what a message says is text and nothing else. A prompt is tokenized as a whole,
so a message that spells a control token would end its own turn and begin another; it is refused.
And a template comes with a file from anywhere: it runs in a process of its own (`chat_worker`),
with limits of time and memory, because a loop cannot be ended from inside.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, models

from sampler.errors import InvalidParameterError, shown
from sampler.models.gguf.metadata import Metadata
from sampler.models.gguf.tokens import PREFIX, added_tokens_of, token_id_of, tokens_of

MAX_TEMPLATE_LENGTH = 1 << 18
MAX_CONVERSATION_LENGTH = 1 << 22  # characters of the messages, and of the prompt
RENDER_SECONDS = 10.0
RENDER_BYTES = 1 << 29

_ROLE = re.compile(r"[A-Za-z0-9_-]+")
_VISIBLE = re.compile(r"\S")


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """How a model wants a conversation to be written.

    Attributes
    ----------
    source : the Jinja template
    bos_token, eos_token : texts that the template may use; `bos_token` is empty where the tokenizer
        itself puts it first
    added_tokens : what the tokenizer finds in a text before it is cut; the special ones are the
        control tokens
    """

    source: str
    bos_token: str = ""
    eos_token: str = ""
    added_tokens: tuple[AddedToken, ...] = ()

    @classmethod
    def from_metadata(cls, metadata: Metadata) -> "ChatTemplate | None":
        """The template of the file; None when it has none."""
        key = "tokenizer.chat_template"
        if key not in metadata:
            return None
        tokens = tokens_of(metadata)
        bos, eos = (
            "" if token_id is None else tokens[token_id]
            for token_id in (token_id_of(metadata, f"{name}_token_id") for name in ("bos", "eos"))
        )
        if metadata.truth(PREFIX + "add_bos_token"):
            bos = ""  # it would stand twice
        return cls(metadata.text(key), bos, eos, tuple(added_tokens_of(metadata)))

    def render(
        self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = True
    ) -> str:
        """The prompt for a conversation; its control tokens are the template's own.

        It takes a process of its own, about a tenth of a second.

        Parameters
        ----------
        messages : ``{"role": "user", "content": "..."}`` and so on, oldest first; a role is of
            ASCII letters, digits, "-" and "_"
        add_generation_prompt : end with the beginning of the model's answer

        Raises
        ------
        InvalidParameterError : a message that is not like this, or that has a control token of the
            model in it, or makes one with what the template puts beside it; jinja2 is not
            installed; the template fails on these messages, or takes more than the limits of this
            module
        """
        given = self._checked(messages)
        # the same conversation without anything said
        silent = [
            {"role": message["role"], "content": _VISIBLE.sub("x", message["content"])}
            for message in given
        ]
        prompt, frame = self._rendered([given, silent], add_generation_prompt)
        found, expected = self._control_tokens([prompt, frame])
        if found != expected:
            raise InvalidParameterError(
                "`messages` must not change which control tokens the prompt has."
                f" Given: {shown(given)}"
            )
        return prompt

    def _checked(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
        """The messages, each known to be of two texts without a control token."""
        if isinstance(messages, str) or not isinstance(messages, Sequence):
            raise InvalidParameterError(f"`messages` must be a list. Given: {shown(messages)}")
        checked = [_checked_message(message) for message in messages]
        size = sum(len(message["content"]) for message in checked)
        if size > MAX_CONVERSATION_LENGTH:
            raise InvalidParameterError(
                f"`messages` must have <= {MAX_CONVERSATION_LENGTH} characters. Given: {size}"
            )
        texts = [text for message in checked for text in message.values()]
        for text, found in zip(texts, self._control_tokens(texts), strict=True):
            if found:
                raise InvalidParameterError(
                    "`messages` must not have control tokens of the model in them."
                    f" Given: {shown(found[0])} in {shown(text)}"
                )
        return checked

    def _control_tokens(self, texts: list[str]) -> list[list[str]]:
        """The control tokens that the tokenizer finds in each of `texts`, in their order."""
        finder = Tokenizer(models.BPE())  # which has no tokens but the added ones
        finder.add_tokens(list(self.added_tokens))
        special = {token.content for token in self.added_tokens if token.special}
        found = (
            map(finder.id_to_token, encoding.ids) for encoding in finder.encode_batch_fast(texts)
        )
        return [[token for token in tokens if token in special] for tokens in found]

    def _rendered(
        self, conversations: list[list[dict[str, str]]], add_generation_prompt: bool
    ) -> list[str]:
        if len(self.source) > MAX_TEMPLATE_LENGTH:
            raise InvalidParameterError(
                f"the chat template must have <= {MAX_TEMPLATE_LENGTH} characters."
                f" Given: {len(self.source)}"
            )
        if find_spec("jinja2") is None:
            raise InvalidParameterError(
                "a chat template needs jinja2: pip install 'token-sampler[chat]'"
            )
        answer = _ask_worker(
            {
                "source": self.source,
                "conversations": conversations,
                "limit": MAX_CONVERSATION_LENGTH,
                "variables": {
                    "add_generation_prompt": add_generation_prompt,
                    "bos_token": self.bos_token,
                    "eos_token": self.eos_token,
                },
            }
        )
        if "error" in answer:
            raise InvalidParameterError(f"the chat template fails: {answer['error']}")
        prompts: list[str] = answer["prompts"]
        return prompts


def _checked_message(message: object) -> dict[str, str]:
    """A message as a dict of its own; raises InvalidParameterError for what is none."""
    if not isinstance(message, Mapping) or message.keys() != {"role", "content"}:
        raise InvalidParameterError(
            f"`messages` must have `role` and `content` each. Given: {shown(message)}"
        )
    role, content = message["role"], message["content"]
    if not isinstance(role, str) or not _ROLE.fullmatch(role):
        raise InvalidParameterError(
            f"`role` must be of ASCII letters, digits, - and _. Given: {shown(role)}"
        )
    if not isinstance(content, str) or not _is_unicode(content):
        raise InvalidParameterError(f"`content` must be a valid text. Given: {shown(content)}")
    return {"role": role, "content": content}


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ask_worker(request: dict[str, Any]) -> dict[str, Any]:
    """What `chat_worker` answers: ``{"prompts": [...]}`` or ``{"error": reason}``."""
    script = Path(__file__).with_name("chat_worker.py")
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    limits = [str(RENDER_BYTES), str(int(RENDER_SECONDS) + 1)]
    try:
        done = subprocess.run(
            [sys.executable or "", "-P", str(script), *limits],
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
            timeout=RENDER_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"it takes more than {RENDER_SECONDS} seconds"}
    except subprocess.CalledProcessError as error:
        return {"error": f"its process ended with code {error.returncode}"}
    except OSError as error:
        return {"error": f"its process did not start: {error}"}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
