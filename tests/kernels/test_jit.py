"""Compilation, caches and processors: each test samples the same rows in a process of its own."""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import llvmlite.binding
import pytest

import sampler
from sampler.kernels.sampling import sample_plain

PACKAGE = Path(sampler.__file__).parent
TESTS = Path(__file__).parents[1]

PLAIN_PARITY = """
import numba
from reference.cases import random_case
from reference.comparison import OPEN, SAME, compare
assert numba.config.DISABLE_JIT
for index in range(150):
    verdict = compare(random_case(9, index, 1 + index))
    assert verdict in (SAME, OPEN), (index, verdict)
print("same")
"""


def run(*arguments: str, package: Path = PACKAGE, **environment: str) -> str:
    """What a fresh Python prints; Numba's own variables are only those of `environment`."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "COV_"))}
    path = os.pathsep.join(map(str, (package.parent, TESTS)))
    finished = subprocess.run(
        [sys.executable, "-P", *arguments],  # without -P the working directory would come first
        env={**inherited, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def report(*arguments, **settings) -> dict:
    return json.loads(run("-m", "reference.digest", *arguments, **settings))


def copy_of_package(folder: Path) -> Path:
    return Path(
        shutil.copytree(PACKAGE, folder / "sampler", ignore=shutil.ignore_patterns("__pycache__"))
    )


@pytest.fixture(scope="module")
def first_report() -> dict:
    """What a process samples that finds what this one, or one before, has compiled."""
    folder = os.environ.get("NUMBA_CACHE_DIR")
    return report(**({"NUMBA_CACHE_DIR": folder} if folder else {}))


def compiled_files() -> dict[Path, int]:
    """When each file of the sampling kernels was written."""
    folder = Path(sample_plain.stats.cache_path)
    return {path: path.stat().st_mtime_ns for path in folder.glob("*.sample_*.nb*")}


def test_another_process_loads_what_has_been_compiled(first_report):
    files = compiled_files()
    assert len(files) >= 6  # an index and code of each
    assert first_report["signatures"] == [1, 1, 1]
    assert first_report["compiled_here"] == [0, 0, 0]
    assert first_report["cache_path"] == sample_plain.stats.cache_path
    assert compiled_files() == files


@pytest.mark.slow
def test_the_first_process_samples_what_later_ones_do(tmp_path, first_report):
    """What is compiled for the first one is compiled by a process of its own."""
    for _ in range(2):
        given = report(NUMBA_CACHE_DIR=str(tmp_path))
        assert given["compiled_here"] == [0, 0, 0]
        assert bits(given) == bits(first_report)


def bits(given: dict) -> tuple[str, str]:
    return given["short"], given["long"]


def test_without_a_writable_cache_the_kernels_still_sample(tmp_path, first_report):
    """A file stands where each cache folder would be: not even root can write there."""
    package = copy_of_package(tmp_path)
    for folder in [package, *filter(Path.is_dir, package.rglob("*"))]:
        (folder / "__pycache__").touch()
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.touch()
    temporary.mkdir()
    nowhere = str(home / "none")
    given = report(
        "short",
        package=package,
        HOME=nowhere,
        XDG_CACHE_HOME=nowhere,
        LOCALAPPDATA=nowhere,
        TMPDIR=str(temporary),
    )
    assert Path(given["cache_path"]).is_relative_to(temporary)
    assert not list(temporary.iterdir())
    assert given["short"] == first_report["short"]


def test_the_plain_functions_are_the_kernels_without_compilation():
    assert run("-c", PLAIN_PARITY, NUMBA_DISABLE_JIT="1") == "same\n"


def report_of(name: str, folder: Path, first_report: dict) -> dict:
    """What the kernels for another x86 processor sample here."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("names x86 processors")
    given = report(NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES="", NUMBA_CACHE_DIR=str(folder))
    assert given["cpu"][1:] == [name, ""]
    assert given["cpu"] != first_report["cpu"]
    return given


@pytest.mark.slow
def test_bits_do_not_depend_on_the_width_of_registers(tmp_path, first_report):
    features = llvmlite.binding.get_host_cpu_features()
    if not features.get("fma") or not features.get("avx2"):
        pytest.skip("this processor has no AVX2")
    given = report_of("x86-64-v3", tmp_path, first_report)
    assert bits(given) == bits(first_report)


def test_a_processor_that_fuses_nothing_draws_the_same_tokens(tmp_path, first_report):
    given = report_of("generic", tmp_path, first_report)
    assert given["token_ids"] == first_report["token_ids"]
    assert given["logprobs"] == pytest.approx(first_report["logprobs"], rel=1e-6, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["green_list.py", "numeric.py"])
def test_a_kernel_is_compiled_anew_when_a_file_it_calls_into_has_changed(changed, tmp_path):
    package, cache = copy_of_package(tmp_path), tmp_path / "cache"
    settings = {"package": package, "NUMBA_CACHE_DIR": str(cache)}
    first_bits = bits(report(**settings))
    (folder,) = (cache / "kernels").iterdir()
    with (package / "kernels" / changed).open("a") as source:
        source.write("# changed\n")
    assert bits(report(**settings)) == first_bits
    folders = list((cache / "kernels").iterdir())
    assert len(folders) == 2
    assert folder in folders
    for one in folders:
        assert len(list(one.rglob("*.sample_*.nbi"))) == 3
