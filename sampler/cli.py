"""The command line: ``sampler generate`` and ``sampler warmup``.

It speaks to people: text as it comes on standard output, everything else on standard error.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

import sampler
from sampler.errors import SamplerError


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
def generate(prompt: str, parameters: tuple[str, ...], grammar: Path | None, events: bool) -> None:
    """Continue PROMPT with the embedded demo model.

    Without parameters it samples 100 tokens with temperature 0.8 and top_p 0.95. The demo model is
    a small n-gram: it shows the engine at work, what it writes means little.
    """
    try:
        request = _request(prompt, parameters, grammar)
        _announce_compilation()
        with sampler.default_generator() as generator, generator.generate_stream(request) as stream:
            _print_events(stream) if events else _print_text(prompt, stream)
    except SamplerError as error:
        raise click.ClickException(error.to_dict()["error"]) from error
    except KeyboardInterrupt:
        click.echo()
        sys.exit(130)


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
    given = dict(_parsed(parameter) for parameter in parameters)
    chosen = given or {"temperature": 0.8, "top_p": 0.95}
    chosen = {"max_new_tokens": 100, "details": True, **chosen}
    if grammar is not None:
        kind = "json" if grammar.suffix == ".json" else "regex"
        text = grammar.read_text("utf-8")
        chosen["grammar"] = {"type": kind, "value": text if kind == "json" else text.rstrip("\n")}
    return {"inputs": prompt, "parameters": chosen}


def _parsed(parameter: str) -> tuple[str, Any]:
    """NAME=VALUE, the value as JSON where it is JSON and as a string where it is not."""
    name, equals, value = parameter.partition("=")
    if not equals:
        raise click.BadParameter(f"must be NAME=VALUE. Given: {parameter!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _announce_compilation() -> None:
    from sampler.startup import compiled

    if not compiled():
        click.echo(
            "First use on this machine: compiling kernels, about 20 seconds, once.", err=True
        )


def _print_text(prompt: str, stream: Any) -> None:
    click.secho(prompt, nl=False, bold=True)
    for event in stream:
        if not event.token.special:
            click.echo(event.token.text, nl=False)
        if event.details is not None:
            seed = "" if event.details.seed is None else f", seed {event.details.seed}"
            click.echo()
            click.secho(
                f"[demo model: {event.details.generated_tokens} tokens, "
                f"{event.details.finish_reason}{seed}]",
                err=True,
                dim=True,
            )
        sys.stdout.flush()


def _print_events(stream: Any) -> None:
    from sampler.events import to_sse

    for event in stream:
        click.echo(to_sse(event), nl=False)
        sys.stdout.flush()
