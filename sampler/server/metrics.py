"""What Prometheus is told; each application has a registry of its own.

Tokens are counted as they are handed to the client's connection, so that they add up with what
clients saw; steps are what the engine did.
"""

from collections.abc import Iterator
from weakref import ref

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sampler.errors import SamplerError
from sampler.generator import Generator
from sampler.observing import Observer, Step

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SHORT = (1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.5, 1)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics(Observer):
    """The counters and histograms of one application over `generator`."""

    def __init__(self, generator: Generator) -> None:
        self._registry = registry = CollectorRegistry()
        registry.register(_LoadCollector(generator))

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"sampler_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"sampler_{name}", text, registry=registry, buckets=buckets)

        self.requests = counter("requests", "Answered requests.", "path", "status")
        self.rejected = counter("rejected", "Refused requests, by reason.", "reason")
        self.failed = counter("failed", "Requests that failed while generated.", "reason")
        self.prompt_tokens = counter("prompt_tokens", "Prompt tokens of valid requests.")
        self.generated_tokens = counter("generated_tokens", "Tokens sent to clients.")
        self.first_token = histogram(
            "time_to_first_token_seconds", "From request to first token.", _SECONDS
        )
        self.between_tokens = histogram(
            "time_between_tokens_seconds", "From token to token of a stream.", _SECONDS
        )
        self.duration = histogram("request_seconds", "From request to last token.", _SECONDS)
        self._batch = histogram("batch_size", "Rows of a step.", _ROWS)
        self._model = histogram("model_seconds", "Model callback of a step.", _SHORT)
        self._mask = histogram("grammar_mask_seconds", "Token masks of a step.", _SHORT)
        self._draw = histogram("draw_seconds", "Drawing the tokens of a step.", _SHORT)
        self._compile = histogram("grammar_compile_seconds", "Grammar of a request.", _SECONDS)

    def stepped(self, step: Step) -> None:
        """The batch has one token more in each row."""
        self._batch.observe(step.batch_size)
        self._model.observe(step.model_seconds)
        self._draw.observe(step.draw_seconds)
        if step.mask_seconds:
            self._mask.observe(step.mask_seconds)

    def grammar_compiled(self, seconds: float) -> None:
        """A request has its grammar."""
        self._compile.observe(seconds)

    def note_error(self, error: SamplerError) -> None:
        """Counts a request that was refused, or that failed."""
        if error.http_status in (424, 500):
            self.failed.labels(error.error_type).inc()
        else:
            self.rejected.labels("size" if error.http_status == 413 else error.error_type).inc()

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


class _LoadCollector(Collector):
    """Asks the generator what there is to do, when somebody looks."""

    def __init__(self, generator: Generator) -> None:
        self._generator = ref(generator)

    def collect(self) -> Iterator[Metric]:
        generator = self._generator()
        if generator is not None:
            load = generator.load
            yield GaugeMetricFamily("sampler_running_rows", "Rows in the batch.", load.running)
            yield GaugeMetricFamily("sampler_queue_size", "Requests without a row.", load.waiting)
