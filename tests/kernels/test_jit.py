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


def report(**settings) -> dict:
    return json.loads(run("-m", "reference.digest", **settings))


def copy_of_package(folder: Path) -> Path:
    return Path(
        shutil.copytree(PACKAGE, folder / "sampler", ignore=shutil.ignore_patterns("__pycache__"))
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("numba-cache"))


@pytest.fixture(scope="module")
def first_report(cache) -> dict:
    """What the first process on this machine samples: nothing is compiled yet."""
    return report(NUMBA_CACHE_DIR=cache)


def test_a_second_process_loads_what_the_first_one_compiled(cache, first_report):
    """What is compiled for the first one is compiled by a process of its own."""
    files = {path: path.stat().st_mtime_ns for path in Path(cache).rglob("*.nb*")}
    assert files
    second_report = report(NUMBA_CACHE_DIR=cache)
    for given in (first_report, second_report):
        assert given["signatures"] == [1, 1, 1]
        assert given["compiled_here"] == [0, 0, 0]
    assert second_report["digest"] == first_report["digest"]
    assert {path: path.stat().st_mtime_ns for path in Path(cache).rglob("*.nb*")} == files


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
        package=package,
        HOME=nowhere,
        XDG_CACHE_HOME=nowhere,
        LOCALAPPDATA=nowhere,
        TMPDIR=str(temporary),
    )
    assert Path(given["cache_path"]).is_relative_to(temporary)
    assert not list(temporary.iterdir())
    assert given["digest"] == first_report["digest"]


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
    assert given["digest"] == first_report["digest"]


def test_a_processor_that_fuses_nothing_draws_the_same_tokens(tmp_path, first_report):
    given = report_of("generic", tmp_path, first_report)
    assert given["token_ids"] == first_report["token_ids"]
    assert given["logprobs"] == pytest.approx(first_report["logprobs"], rel=1e-6, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["green_list.py", "numeric.py"])
def test_a_kernel_is_compiled_anew_when_a_file_it_calls_into_has_changed(changed, tmp_path):
    package, cache = copy_of_package(tmp_path), tmp_path / "cache"
    settings = {"package": package, "NUMBA_CACHE_DIR": str(cache)}
    first_digest = report(**settings)["digest"]
    (folder,) = (cache / "kernels").iterdir()
    with (package / "kernels" / changed).open("a") as source:
        source.write("# changed\n")
    assert report(**settings)["digest"] == first_digest
    folders = list((cache / "kernels").iterdir())
    assert len(folders) == 2
    assert folder in folders
    for one in folders:
        assert len(list(one.rglob("*.sample_*.nbi"))) == 3
