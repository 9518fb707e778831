"""The public face: what `import classical` leads to, and that all of it says what it is."""

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import classical
import qml

PACKAGES = [module.name for module in pkgutil.iter_modules(classical.__path__) if module.ispkg]
SOURCE = re.compile(r"arXiv:\d{4}\.\d{4,5}|https?://|NIPS \d{4}|GTC \d{4}|ISSCC \d{4}")
"""Of a method: a link to its paper, or where it was published if it has none."""
TOOLS = {
    "distillation": "FeatureLoss",
    "nas": """BlockPlan Choice Costs Found Layer Limited Plan Space Stage chosen predict_costs
        subnet_accuracy""",
    "pruning": """Adaptation ChannelGroup ChannelGroups Costs Masks Member Pruner PruningReport
        Sensitivity Ticket l2 ladder make_masks prunable pruning_report remove_channels uniform""",
    "quantization": """IntegerModule MSE MinMax Percentile allocate_bits fit freeze load_integer
        measure_sensitivity quantize_weights run_integer save_integer unpack weighted_layers
        with_bits""",
}
"""Public names that implement no paper by themselves: what methods are put together from."""


def _names() -> list[str]:
    return [f"{part}.{name}" for part in PACKAGES for name in getattr(classical, part).__all__]


def _find(path: str) -> tuple[str, object]:
    part, _, name = path.partition(".")
    return name, getattr(getattr(classical, part), name)


def _documented(tree: ast.Module) -> Iterator[str]:
    """Names at the top of a module that a string follows."""
    for here, after in zip(tree.body, tree.body[1:], strict=False):
        text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if text and isinstance(here, ast.Assign | ast.AnnAssign):
            targets = here.targets if isinstance(here, ast.Assign) else [here.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _of_constants() -> set[str]:
    sources = (path.read_text() for path in Path(classical.__file__).parent.rglob("*.py"))
    return {name for source in sources for name in _documented(ast.parse(source))}


def test_all_packages_and_names_are_reachable() -> None:
    assert set(classical._PACKAGES) == set(PACKAGES)
    assert qml.classical is classical
    assert {*classical.__all__, "__file__"} <= set(dir(classical))
    for name in classical.__all__:
        assert getattr(classical, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'distil'"):
        classical.distil  # noqa: B018


def test_a_bare_import_loads_no_part() -> None:
    code = "import sys, classical; print(*(m for m in sys.modules if m.startswith('classical.')))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert loaded == []


def test_every_public_object_has_a_docstring() -> None:
    constants = _of_constants()
    missing = []
    for path in _names():
        name, found = _find(path)
        if inspect.isclass(found) or inspect.isfunction(found):
            text = found.__doc__ or ""
            # Subclasses inherit one, and records without one get their signature.
            inherited = inspect.isclass(found) and "__doc__" not in vars(found)
            if not text or inherited or text.startswith(f"{name}("):
                missing.append(path)
        elif name not in constants:
            missing.append(path)
    assert not missing


def test_methods_name_their_papers() -> None:
    methods = [path for path in _names() if path.partition(".")[0] in TOOLS]
    tools = {f"{part}.{name}" for part, names in TOOLS.items() for name in names.split()}
    assert {path for path in methods if not _cited(path)} == tools


def _cited(path: str) -> bool:
    """Whether an object, one of its methods or its module names a source; constants need none."""
    found = _find(path)[1]
    if not inspect.isclass(found) and not inspect.isfunction(found):
        return True
    members = vars(found).values() if inspect.isclass(found) else ()
    texts = [thing.__doc__ or "" for thing in (found, inspect.getmodule(found), *members)]
    return any(SOURCE.search(text) for text in texts)
