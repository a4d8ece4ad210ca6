"""A server in a process of its own: this file as a script, which says its port and runs until it
is terminated.

So it has its own memory to be measured, and its own open files.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).resolve().parent


@contextmanager
def serving(request_limits=None, **limits) -> Iterator:
    """A client of the hash model, with conversations, in another process, with these
    `ServerLimits`, and the fields of `Limits` for each request.

    It has the process as `process`; afterwards `warnings` is all that it logged, from WARNING on.
    """
    from server_client import Client

    command = [sys.executable, __file__, json.dumps([limits, request_limits or {}])]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            client = Client(int(process.stdout.readline()))
            client.process = process
            yield client
        finally:
            process.terminate()
            process.wait()
            log.seek(0)
            client.warnings = log.read()
    assert process.returncode == 0, client.warnings


def resident_bytes(process_id: int) -> int:
    """What a process really uses."""
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    sys.path[:0] = [str(TESTS.parent), str(TESTS)]
    import signal

    from scripted_models import byte_vocabulary, hash_model

    from sampler import Generator, warmup
    from sampler.limits import Limits, ServerLimits
    from sampler.models.gguf.chat import ChatTemplate
    from sampler.server import create_app
    from sampler.server.serving import Server

    class Told(Server):
        async def startup(self, sockets=None) -> None:
            await super().startup(sockets)
            print(self.servers[0].sockets[0].getsockname()[1], flush=True)

    warmup(wait=True)
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it again when all is closed
    limits, request_limits = json.loads(sys.argv[1])
    template = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}")
    with Generator(hash_model, byte_vocabulary(), limits=Limits(**request_limits)) as generator:
        app = create_app(generator, limits=ServerLimits(**limits), chat_template=template)
        Told(app, port=0).run()


if __name__ == "__main__":
    main()
