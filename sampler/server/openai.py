"""OpenAI's routes: ``/v1/completions`` and ``/v1/chat/completions``."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sampler.errors import InvalidParameterError, OverloadedError
from sampler.server.generation import stream_answer, whole_answer
from sampler.server.openai_format import ChatFormat, CompletionFormat
from sampler.server.openai_request import OpenAIRequest, chat_request, completion_request
from sampler.server.service import Service


class OpenAIRoutes:
    """The endpoints of OpenAI's API over `service`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._rendering = 0

    async def completions(self, request: Request) -> Response:
        """A text that goes on from the prompt."""
        asked = completion_request(await self._service.body(request))
        return await self._answer(request, asked, CompletionFormat)

    async def chat(self, request: Request) -> Response:
        """The next message of a conversation, which the model's own template writes down."""
        asked = chat_request(await self._service.body(request))
        asked.body["inputs"] = await self._prompt(asked.messages)
        return await self._answer(request, asked, ChatFormat)

    async def _answer(
        self, request: Request, asked: OpenAIRequest, kind: type[CompletionFormat]
    ) -> Response:
        service = self._service
        form = kind(
            asked, service.generator.vocabulary, service.model_name, request.state.request_id
        )
        if asked.stream:
            return await stream_answer(service, request, asked.body, form)
        return await whole_answer(service, request, asked.body, form.answer)

    async def _prompt(self, messages: list[dict[str, Any]]) -> str:
        template = self._service.chat_template
        if template is None:
            raise InvalidParameterError(
                f"`messages` need a chat template, and the model {self._service.model_name!r} has"
                " none: use /v1/completions"
            )
        if self._rendering >= self._service.generator.max_waiting:
            raise OverloadedError
        self._rendering += 1
        try:
            return await asyncio.to_thread(template.render, messages)
        finally:
            self._rendering -= 1
