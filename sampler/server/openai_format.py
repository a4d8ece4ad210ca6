"""What OpenAI's API answers, made of what the generator says."""

import time
from collections.abc import Sequence
from typing import Any

from sampler.errors import SamplerError
from sampler.events import Details, FinishReason, GenerateResponse, StreamEvent, Token, sse_data
from sampler.server.answers import OPENAI_PREFIX, error_body
from sampler.server.exchange import Exchange
from sampler.server.openai_request import OpenAIRequest
from sampler.vocabulary import Vocabulary

_REASONS: dict[FinishReason, str] = {
    "length": "length",
    "eos_token": "stop",
    "stop_sequence": "stop",
}
_IMPOSSIBLE = -9999.0  # what OpenAI's API says for a logprob of -inf
Logprobs = dict[str, Any] | None


def _usage(prompt_tokens: int, generated_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": generated_tokens,
        "total_tokens": prompt_tokens + generated_tokens,
    }


def _logprob(token: Token) -> float:
    logprob = token.to_dict()["logprob"]
    return _IMPOSSIBLE if logprob is None else float(logprob)


class CompletionFormat:
    """Answers and events of ``/v1/completions``; `ChatFormat` is the other one.

    Parameters
    ----------
    asked : the request
    vocabulary : knows the texts of tokens
    model : what clients are told
    request_id : becomes part of the answer's own
    """

    kind, whole_object, chunk_object = "cmpl", "text_completion", "text_completion"

    def __init__(
        self, asked: OpenAIRequest, vocabulary: Vocabulary, model: str, request_id: str
    ) -> None:
        self._asked = asked
        self._vocabulary = vocabulary
        self._head = {
            "id": f"{self.kind}-{request_id}",
            "created": int(time.time()),
            "model": model,
        }
        echoed = asked.body["parameters"].get("return_full_text", False)
        self._offset = 0  # characters of what was sent
        self._echo: str = asked.body["inputs"] if echoed else ""

    def answer(self, response: GenerateResponse, exchange: Exchange) -> dict[str, Any]:
        """The whole answer."""
        details = response.details
        if details is None:
            raise RuntimeError("the answer has no details")
        self._offset = len(self._echo)
        choice = self._whole(response.generated_text, self._logprobs_of(details))
        choice["finish_reason"] = _REASONS[details.finish_reason]
        usage = _usage(exchange.events.prompt_tokens, details.generated_tokens)
        return {**self._head, "object": self.whole_object, "choices": [choice], "usage": usage}

    def event(self, event: StreamEvent) -> str:
        """A token."""
        text = "" if event.token.special else event.token.text
        if event.index == 1:
            self._offset = len(self._echo)
            text = self._echo + text
        chunk = self._piece(text, self._logprobs([event.token], [event.top_tokens]), event.index)
        reason = None if event.details is None else _REASONS[event.details.finish_reason]
        return self._chunk([{**chunk, "finish_reason": reason}])

    def error(self, error: SamplerError) -> str:
        """What ended the stream."""
        return sse_data(error_body(OPENAI_PREFIX, error))

    def end(self, exchange: Exchange) -> str:
        """The numbers of tokens, if asked for, and the end."""
        usage = ""
        if self._asked.include_usage:
            numbers = _usage(exchange.events.prompt_tokens, exchange.generated_tokens)
            usage = self._chunk([], numbers)
        return f"{usage}data: [DONE]\n\n"

    def _chunk(self, choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> str:
        counted = {"usage": usage} if self._asked.include_usage else {}
        return sse_data({**self._head, "object": self.chunk_object, "choices": choices, **counted})

    def _logprobs_of(self, details: Details) -> Logprobs:
        tokens = details.tokens
        return self._logprobs(tokens, details.top_tokens or [()] * len(tokens))

    def _whole(self, text: str, logprobs: Logprobs) -> dict[str, Any]:
        return {"index": 0, "text": text, "logprobs": logprobs}

    def _piece(self, text: str, logprobs: Logprobs, index: int) -> dict[str, Any]:
        return self._whole(text, logprobs)

    def _logprobs(self, tokens: Sequence[Token], tops: Sequence[Sequence[Token]]) -> Logprobs:
        if not self._asked.wants_logprobs:
            return None
        offsets = []
        for token in tokens:
            offsets.append(self._offset)
            self._offset += 0 if token.special else len(token.text)
        return {
            "tokens": [self._text(token) for token in tokens],
            "token_logprobs": [_logprob(token) for token in tokens],
            "top_logprobs": [{self._text(one): _logprob(one) for one in top} for top in tops],
            "text_offset": offsets,
        }

    def _text(self, token: Token) -> str:
        """The text of a token alone; what is part of a character is spelled, to be told apart."""
        data = self._vocabulary.token_bytes(token.id)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


class ChatFormat(CompletionFormat):
    """Answers and events of ``/v1/chat/completions``."""

    kind, whole_object, chunk_object = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def _whole(self, text: str, logprobs: Logprobs) -> dict[str, Any]:
        message = {"role": "assistant", "content": text, "refusal": None}
        return {"index": 0, "message": message, "logprobs": logprobs}

    def _piece(self, text: str, logprobs: Logprobs, index: int) -> dict[str, Any]:
        role = {"role": "assistant"} if index == 1 else {}
        return {"index": 0, "delta": {**role, "content": text}, "logprobs": logprobs}

    def _logprobs(self, tokens: Sequence[Token], tops: Sequence[Sequence[Token]]) -> Logprobs:
        if not self._asked.wants_logprobs:
            return None
        content = [
            {**self._told(token), "top_logprobs": [self._told(one) for one in top]}
            for token, top in zip(tokens, tops, strict=True)
        ]
        return {"content": content, "refusal": None}

    def _told(self, token: Token) -> dict[str, Any]:
        data = self._vocabulary.token_bytes(token.id)
        text = self._vocabulary.token_text(token.id)  # the bytes stand beside it
        return {"token": text, "logprob": _logprob(token), "bytes": list(data)}
