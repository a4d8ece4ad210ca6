"""The generator behind HTTP: TGI's routes, OpenAI's routes, metrics. Needs the extra `server`.

`create_app` gives an ASGI application to mount anywhere; `sampler.server.serving` runs it under
uvicorn, as ``sampler serve`` does. Tokens are made in the generator's threads: here the event loop
only reads, maps and writes.
"""

from sampler.server.app import create_app as create_app

__all__ = ("create_app",)
