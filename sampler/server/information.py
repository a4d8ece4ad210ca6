"""What the server says of itself, and of texts: ``/health``, ``/info``, ``/tokenize``, metrics."""

import asyncio
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

import sampler
from sampler.errors import InvalidParameterError, shown
from sampler.server.answers import JSONAnswer
from sampler.server.bodies import read_body
from sampler.server.service import Service
from sampler.wire import raise_any, read_top_level


class InformationRoutes:
    """The endpoints of this module over `service`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def health(self, request: Request) -> Response:
        """200 while requests are taken."""
        if self._service.generator.closed:
            return JSONAnswer({"error": "unhealthy", "error_type": "healthcheck"}, 503)
        return JSONAnswer({"status": "ok"})

    async def info(self, request: Request) -> Response:
        """The model and the limits, in TGI's names."""
        generator = self._service.generator
        limits = generator.limits
        return JSONAnswer(
            {
                "model_id": self._service.model_name,
                "model_pipeline_tag": "text-generation",
                "max_concurrent_requests": generator.max_batch_size + generator.max_waiting,
                "max_best_of": limits.max_best_of,
                "max_stop_sequences": limits.max_stop_sequences,
                "max_top_n_tokens": limits.max_top_n_tokens,
                "max_input_tokens": limits.max_input_tokens,
                "max_total_tokens": limits.max_total_tokens,
                "max_batch_size": generator.max_batch_size,
                "vocab_size": generator.vocabulary.size,
                "router": "token-sampler",
                "version": sampler.__version__,
            }
        )

    async def tokenize(self, request: Request) -> Response:
        """The tokens of ``inputs``, each with its id, its text and where that stands.

        ``parameters``, which some clients always send, are not looked at.
        """
        body = await read_body(request, self._service.limits)
        draft = read_top_level(body)
        raise_any([*draft.problems, *(f"unknown field `{path}`" for path in draft.unknown)])
        inputs = draft.values["inputs"]
        limit = self._service.generator.limits.max_input_bytes
        if len(inputs) > limit:
            raise InvalidParameterError(
                f"`inputs` must have <= {limit} bytes. Given: {shown(len(inputs))} characters"
            )
        return await asyncio.to_thread(lambda: JSONAnswer(self._tokens(inputs)))

    def _tokens(self, text: str) -> list[dict[str, Any]]:
        vocabulary = self._service.generator.vocabulary
        return [
            {"id": token_id, "text": text[start:stop], "start": start, "stop": stop}
            for token_id, (start, stop) in vocabulary.encode_with_offsets(text)
        ]

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text format."""
        return Response(self._service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
