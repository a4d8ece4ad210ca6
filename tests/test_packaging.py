"""The installed package: one top-level name, importable anywhere, light to import."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, symlinks=True, ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return next(folder.glob("*.whl"))


def test_the_only_top_level_name_of_the_wheel_is_sampler(wheel):
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"sampler"}


def test_the_wheel_has_every_module_and_the_demo_model(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    modules = [*ROOT.glob("sampler/**/*.py"), *ROOT.glob("sampler/*.py")]
    for folder in ("grammar", "kernels"):
        modules += (ROOT / folder).glob("**/*.py")
    for module in modules:
        relative = module.relative_to(ROOT)
        if relative.parts[0] != "sampler":
            relative = Path("sampler") / relative
        assert str(relative) in packed
    assert {"sampler/py.typed", "sampler/models/demo/tokenizer.json"} <= packed


def test_the_wheel_has_every_file_of_the_page(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    files = {str(path.relative_to(ROOT)) for path in ROOT.glob("sampler/server/page/*")}
    assert "sampler/server/page/index.html" in files
    assert files <= packed


def test_the_demo_model_takes_under_three_megabytes_in_the_wheel(wheel):
    infos = zipfile.ZipFile(wheel).infolist()
    demo = [info for info in infos if info.filename.startswith("sampler/models/demo/")]
    assert 0 < sum(info.compress_size for info in demo) < 3_000_000


def test_the_wheel_generates_outside_the_checkout(wheel, tmp_path):
    target = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(target)
    code = (
        "import sampler; print(sampler.__file__)\n"
        "with sampler.default_generator() as generator:\n"
        "    print(generator.generate({'inputs': 'Hello'}).generated_text != '')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(target)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    location, generated = done.stdout.split()
    assert Path(location).is_relative_to(target)
    assert generated == "True"


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, sampler\n"
        "print([name for name in ('numpy', 'numba', 'tokenizers', 'outlines_core', 'jsonschema',"
        " 'click', 'tqdm', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_imported():
    import sampler

    for name in sampler.__all__:
        assert getattr(sampler, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        sampler.no_such_name  # noqa: B018
