"""What ``sampler serve`` does, behind its options."""

import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from sampler.generator import Generator
from sampler.models.opening import OpenedModel
from sampler.server.app import create_app
from sampler.server.logs import log_as_json
from sampler.server.serving import Server, hosts_to_allow, spare_the_collector
from sampler.startup import warmup


def run(
    opened: OpenedModel,
    model_name: str,
    *,
    host: str,
    port: int,
    api_key: str | None,
    max_batch_size: int,
    max_waiting: int,
    cors_origins: Sequence[str],
    allowed_hosts: Sequence[str],
    ignore_unknown: bool,
) -> None:
    """None, when the server has ended; the parameters are the options of the command."""
    log_as_json()
    threading.Thread(target=_warm_up, name="sampler-warmup", daemon=True).start()
    with Generator(
        opened.model,
        opened.tokenizer,
        max_batch_size,
        max_waiting,
        opened.limits,
        eos_token_ids=opened.eos_token_ids,
        unknown_parameters="ignore" if ignore_unknown else "refuse",
    ) as generator:
        app = create_app(
            generator,
            model_name=Path(model_name).stem,
            chat_template=opened.chat_template,
            api_key=api_key,
            cors_origins=cors_origins,
            allowed_hosts=hosts_to_allow(host, allowed_hosts),
        )
        server = Server(app, host, port)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave)  # called when the server has ended in good order
        server.run()


def _warm_up() -> None:
    warmup(wait=True)
    spare_the_collector()


def _leave(*_: object) -> None:
    raise SystemExit(0)
