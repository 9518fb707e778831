"""Installing: the metadata, the wheel's contents, and what bad ground gets to hear."""

import importlib
import importlib.metadata
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = ("classical", "compile", "qml", "qsim")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``command`` at the root of the repository with ``environment`` added."""
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True
    )


def test_version_is_that_of_pyproject() -> None:
    assert importlib.metadata.version("efficient-qml") == PROJECT["version"]


def test_compiled_engine_is_installed() -> None:
    assert importlib.import_module("qsim._native").__file__.endswith((".so", ".pyd"))


def test_pinned_versions_fit_the_declared_ranges() -> None:
    pins = dict(
        re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text().lower(), re.M)
    )
    extras = PROJECT["optional-dependencies"]
    names = re.findall(r"\w+", extras["all"][0].partition("[")[2])
    used = (extras[name] for name in names)
    for text in sum(used, PROJECT["dependencies"]):
        requirement = Requirement(text)
        assert pins[requirement.name] in requirement.specifier, text


def test_wheel_holds_packages_and_their_data_but_no_cpp_sources(tmp_path: Path) -> None:
    result = run(
        *(sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", str(tmp_path), "-Cwheel.cmake=false"),
    )
    assert result.returncode == 0, result.stderr
    (wheel,) = tmp_path.glob("efficient_qml-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    expected = {name for name in sources if not name.endswith((".cpp", ".hpp", ".so"))}
    assert {name for name in names if name.split("/")[0] in PACKAGES} == expected
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.skipif(not shutil.which("cmake"), reason="needs cmake")
def test_cmake_without_a_compiler_says_what_to_install(tmp_path: Path) -> None:
    result = run("cmake", "-S", str(ROOT), "-B", str(tmp_path), CXX="/nonexistent/c++")
    assert result.returncode != 0
    assert "needs a C++20 compiler, GCC 11 or Clang 14 or newer: install one" in " ".join(
        result.stderr.split()
    )


def make(goal: str, *variables: str) -> subprocess.CompletedProcess[str]:
    """Run make without an environment yet, and without what an outer make hands down."""
    return run("make", goal, *variables, MAKEFLAGS="", MAKELEVEL="0")


@pytest.mark.parametrize(
    ("goal", "variable", "sentence"),
    [
        ("demo", "CXX=/no/c++", "No C++ compiler found under the name /no/c++: install GCC 11"),
        ("test", "PYTHON=/no/python", "Python 3.11 or newer, and /no/python is not that: install"),
    ],
)
def test_make_says_in_one_sentence_what_is_missing(
    goal: str, variable: str, sentence: str, tmp_path: Path
) -> None:
    venv = tmp_path / "venv"
    result = make(goal, variable, f"VENV={venv}")
    assert result.returncode == 2
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not venv.exists()


def test_preflight_refuses_an_old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = runpy.run_path(str(ROOT / "scripts" / "preflight.py"))["missing"]
    assert missing() == ""
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert re.match(r"Efficient QML needs Python 3\.11 or newer, and \S+ is 3\.10: ", missing())
