"""``sampler serve``: starts, serves the embedded model, ends in good order."""

import json
import signal

import pytest
from click.testing import CliRunner
from server_client import JSON
from server_command import serving

from sampler.cli import main
from sampler.server.serving import hosts_to_allow, is_loopback


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_embedded_model_is_served_until_a_signal_comes(number):
    with serving("--api-key", "secret", "--max-batch-size", "3") as (process, client):
        headers = {**JSON, "authorization": "Bearer secret", "x-request-id": "mine"}
        info = client.get("/info", headers).json()
        assert (info["model_id"], info["max_batch_size"]) == ("demo-ngram", 3)
        asked = {"inputs": "The state", "parameters": {"max_new_tokens": 5}}
        assert client.post("/generate", asked).status == 401
        assert client.get("/health", {"host": "evil.example"}).status == 403
        answer = client.post("/generate_stream", asked, headers)
        assert len(answer.events()) == 5
        process.send_signal(number)
        lines = [json.loads(line) for line in process.stderr]
        assert process.wait() == 0
    assert any(line.get("request_id") == "mine" and line["status"] == 200 for line in lines)


def test_what_cannot_be_served_is_said_without_a_traceback():
    done = CliRunner().invoke(main, ["serve", "--model", "no such file"])
    assert done.exit_code == 1
    assert "no such file" in done.output
    done = CliRunner().invoke(main, ["serve", "--max-batch-size", "0"])
    assert done.exit_code == 1
    assert "`max_batch_size`" in done.output
    assert "Traceback" not in done.output


def test_on_this_machine_alone_other_names_are_not_served():
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")
    assert hosts_to_allow("127.0.0.1", ["me"]) == ("localhost", "127.0.0.1", "[::1]", "me")
    assert hosts_to_allow("0.0.0.0", []) is None
    assert hosts_to_allow("0.0.0.0", ["me"]) == ("me",)
