"""The arrows of the house: who may import whom, and what a bare import leaves alone."""

import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
HEAVY = {
    "jinja2",
    "matplotlib",
    "mlxtend",
    "networkx",
    "pennylane",
    "pylatexenc",
    "pyscf",
    "qiskit",
    "qiskit_aer",
    "qiskit_ibm_runtime",
    "skimage",
    "sklearn",
    "stim",
    "tensorboard",
    "torchquantum",
    "transformers",
}


def test_imports_keep_the_contracts_in_pyproject(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True, no_logo=True) == 0


@pytest.mark.parametrize("package", ["classical", "compile", "qml", "qsim"])
def test_bare_import_leaves_optional_packages_alone(package: str) -> None:
    code = f"import sys, {package}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert package in loaded
    assert not HEAVY & set(loaded)


def test_classical_needs_nothing_but_numpy_and_torch() -> None:
    graph = grimp.build_graph("classical", include_external_packages=True, cache_dir=None)
    external = {module for module in graph.modules if graph.is_module_squashed(module)}
    assert external - sys.stdlib_module_names <= {"numpy", "torch"}
