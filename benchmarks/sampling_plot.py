"""One picture of a run: microseconds per row, chain by chain, on a logarithmic scale."""

from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib

matplotlib.use("Agg")  # a file, also where there is no display
from matplotlib import pyplot

from benchmarks.sampling_report import Record, multiple

COLOURS = {
    "np.max": "0.75",
    "sampler": "#d62728",
    "numpy-blocks": "#9ecae1",
    "numpy-sort": "#3182bd",
    "torch-topk": "#fdd0a2",
    "vllm-algorithm": "#fd8d3c",
    "transformers": "#a63603",
    "llama.cpp": "#31a354",
}
GAP = 1.0  # between chains, in bars


def plot(results: list[Record], path: Path) -> None:
    """Writes a PNG of the first vocabulary and batch size in `results`, a panel for each shape."""
    first = results[0]
    chosen = [r for r in results if all(r[k] == first[k] for k in ("vocab_size", "batch_size"))]
    shapes = list(dict.fromkeys(record["rows"] for record in chosen))
    places, middles = _layout(chosen)
    figure, panels = pyplot.subplots(
        1,
        len(shapes),
        sharex=True,
        sharey=True,
        squeeze=False,
        figsize=(3 + 5 * len(shapes), 1.5 + 0.13 * (max(places.values()) + 1)),
        layout="constrained",
    )
    for panel, shape in zip(panels[0], shapes, strict=True):
        _draw(panel, [record for record in chosen if record["rows"] == shape], places)
        panel.set_title(f"{shape} rows")
        panel.set_yticks(list(middles.values()), [fill(chain, 26) for chain in middles])
        panel.set_ylim(max(places.values()) + GAP, -GAP)
    size = f"V = {first['vocab_size']:,}, B = {first['batch_size']}"
    figure.suptitle(f"CPU time of one token, {size}; labels are multiples of np.max")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _layout(results: list[Record]) -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    """Where the bar of each (chain, contender) stands, top down, and the middle of each chain."""
    present = {(record["chain"], record["contender"]) for record in results}
    places, middles, top = {}, {}, 0.0
    for chain in dict.fromkeys(record["chain"] for record in results):
        names = [name for name in COLOURS if (chain, name) in present]
        places.update({(chain, name): top + i for i, name in enumerate(names)})
        middles[chain] = top + (len(names) - 1) / 2
        top += len(names) + GAP
    return places, middles


def _draw(panel: Any, results: list[Record], places: dict[tuple[str, str], float]) -> None:
    """The bars of one shape, each with its multiple of np.max."""
    for name, colour in COLOURS.items():
        own = [record for record in results if record["contender"] == name]
        heights = [places[record["chain"], name] for record in own]
        if own:
            times = [record["minimum_us"] for record in own]
            panel.barh(heights, times, 1.0, color=colour, label=name)
        for height, record in zip(heights, own, strict=True):
            text = f" {multiple(record['ratio'])}"
            if name != "np.max":
                panel.text(record["minimum_us"], height, text, va="center", fontsize=6)
    panel.set_xscale("log")
    panel.set_xlabel("microseconds per row (minimum)")
    panel.margins(x=0.12)
    panel.grid(axis="x", alpha=0.3)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
