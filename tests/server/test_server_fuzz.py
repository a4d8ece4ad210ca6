"""Random requests have documented answers, all of them, and the server stays as it was."""

import http.client
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from fuzzed_requests import TGI_PATHS, fuzzed
from scripted_models import PATIENCE
from server_abuse import check, unharmed
from server_client import Answer
from server_process import serving

WORKERS = 4
REQUEST_LIMITS = {
    "max_input_tokens": 60,
    "max_total_tokens": 80,
    "grammar_compile_seconds": 2.0,
}


def answered(connection, asked):
    """The answer to a request, whose events, if it has some, end as they must."""
    connection.request(asked.method, asked.path, asked.body or None, asked.headers)
    answer = Answer(connection.getresponse())
    if asked.method != "HEAD":
        check(asked.path, answer.status, answer.body, asked.body)
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        check_events(asked.path, answer)
    return answer.status


def check_events(path, answer):
    blocks = answer.body.decode().removesuffix("\n\n").split("\n\n")
    if path not in TGI_PATHS and blocks[-1] == "data: [DONE]":
        blocks.pop()
    *events, last = (json.loads(block.removeprefix("data: ")) for block in blocks if block != ":")
    if "error" in last:
        check(path, 424, json.dumps(last).encode())
    elif path in TGI_PATHS:
        assert last["generated_text"] is not None
        assert [event["index"] for event in events] == list(range(1, last["index"]))


def ask_all(client, numbers):
    """How many requests had which status."""

    def ask(worker):
        statuses = Counter()
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=PATIENCE)
        for number in numbers[worker::WORKERS]:
            try:
                statuses[answered(connection, fuzzed(number))] += 1
            except Exception as error:
                raise AssertionError(f"request {number}: {fuzzed(number)}") from error
        connection.close()
        return statuses

    with ThreadPoolExecutor(WORKERS) as pool:
        return sum(pool.map(ask, range(WORKERS)), Counter())


@pytest.mark.parametrize("count", [1_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_random_requests_have_documented_answers(count):
    with serving(request_limits=REQUEST_LIMITS) as client:
        with unharmed(client):
            statuses = ask_all(client, range(count))
        assert statuses.total() == count
        assert statuses[200] > count // 5
        assert statuses[400] > count // 5
        for gauge in ("running_rows", "queue_size"):
            assert client.metric(f"sampler_{gauge}") == 0
    assert "Traceback" not in client.warnings
