"""Applications over small models on real ports."""

import threading
from contextlib import ExitStack

import pytest
from browser import Page, chromium
from scripted_models import Watched, byte_vocabulary, hash_model, scheduler_threads
from server_client import running
from server_command import serving

from sampler import Generator
from sampler.limits import ServerLimits
from sampler.server import create_app

APP_OPTIONS = ("api_key", "cors_origins", "allowed_hosts", "chat_template", "model_name")


@pytest.fixture
def serve():
    """Serves a model; options are those of `create_app` and `Generator`.

    `limits` are the server's, `request_limits` the generator's.
    """
    with ExitStack() as stack:

        def serve(model=hash_model, limits=None, **options):
            own = {name: options.pop(name) for name in APP_OPTIONS if name in options}
            options["limits"] = options.pop("request_limits", None)
            generator = stack.enter_context(Generator(model, byte_vocabulary(), **options))
            app = create_app(generator, limits=limits or ServerLimits(), **own)
            client = stack.enter_context(running(app))
            client.generator = generator
            if isinstance(model, Watched):
                stack.callback(model.let_go)
            return client

        yield serve
    assert not scheduler_threads()


@pytest.fixture(scope="module")
def driver():
    """Headless Chromium."""
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="module")
def server(driver):
    """A client of ``sampler serve``."""
    with serving() as (process, client):
        # a log that nobody reads holds the server up when the pipe is full
        reader = threading.Thread(target=process.stderr.read)
        reader.start()
        yield client
        process.kill()
        reader.join()


@pytest.fixture
def page(driver, server):
    """The page of `server`, freshly loaded."""
    return Page(driver, server.port).open()
