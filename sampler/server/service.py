"""What the routes of one application share."""

from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from sampler.errors import OverloadedError
from sampler.generator import Generator
from sampler.limits import ServerLimits
from sampler.server.bodies import read_body
from sampler.server.exchange import Exchange, OpenRequest
from sampler.server.metrics import Metrics

if TYPE_CHECKING:
    from sampler.models.gguf.chat import ChatTemplate


class Service:
    """A generator with its limits towards clients, its metrics and its running requests.

    Parameters
    ----------
    generator : generates
    limits : of the server
    model_name : what clients are told
    chat_template : how the model wants conversations to be written, or None
    """

    def __init__(
        self,
        generator: Generator,
        limits: ServerLimits,
        model_name: str,
        chat_template: "ChatTemplate | None",
    ) -> None:
        self.generator = generator
        self.limits = limits
        self.model_name = model_name
        self.chat_template = chat_template
        self.metrics = Metrics(generator)
        self.exchanges: set[OpenRequest] = set()
        generator.observe(self.metrics)

    async def body(self, request: Request) -> Any:
        """The body of a request to generate; not even read when there is no room for it.

        Raises
        ------
        OverloadedError : no room
        InvalidParameterError, HTTPException, ClientDisconnect : as `read_body`
        """
        if self.generator.full:
            raise OverloadedError
        return await read_body(request, self.limits)

    def exchange(self, request: Request, body: Any, stream: bool) -> Exchange:
        """The generation that `body` asks for, begun; OverloadedError when there is no room."""
        return Exchange(self, request, body, stream)

    def drop_all(self) -> list[str]:
        """The ids of the requests that are unfinished; each ends with an error now."""
        dropped = sorted(exchange.request_id for exchange in self.exchanges)
        for exchange in self.exchanges:
            exchange.drop()
        return dropped
