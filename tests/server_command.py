"""``sampler serve`` in a process of its own."""

import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from server_client import Client


@contextmanager
def serving(*options, environment=None):
    """The process, and a client of it."""
    command = [Path(sys.executable).with_name("sampler"), "serve", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            port = None
            for line in process.stderr:
                if found := re.search(r"http://127.0.0.1:(\d+)", line):
                    port = int(found[1])
                    break
            yield process, Client(port)
        finally:
            process.kill()
