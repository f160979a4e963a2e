"""The architecture, enforced: which way imports go, how large things may grow, and what importing costs."""

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "sixfold"
FILES = sorted(SRC.rglob("*.py"))
ORDER = ("_core", "frame", "data", "features", "models", "serve", "evaluate", "operate", "system", "run", "cli")
LEAVES = {"engines": ("_core", "frame", "data", "features"), "datasets": ("_core", "frame", "data")}
LEAVES["worlds"] = LEAVES["datasets"]
HEAVY = {"torch", "catboost", "faiss", "onnx", "onnxruntime", "matplotlib", "pyarrow", "sklearn", "pandas"}


def part_of(module: str) -> str:
    names = module.split(".")
    return names[1] if len(names) > 1 else ""


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[tuple[int, str]]:
    tree = ast.parse(path.read_text())
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def module_of(path: Path) -> str:
    return ".".join(("sixfold", *path.relative_to(SRC).with_suffix("").parts)).removesuffix(".__init__")


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_one_way(path: Path) -> None:
    here = part_of(module_of(path))
    for line, module in imports(path):
        if not module.startswith("sixfold."):
            continue
        there = part_of(module)
        where = f"{path.relative_to(SRC)}:{line} imports {module}"
        if here in ORDER and there in ORDER:
            assert ORDER.index(there) <= ORDER.index(here), f"{where}: {here} comes before {there}"
        if here in ORDER[: ORDER.index("system")]:
            assert there in ORDER, f"{where}: a phase must not know {there}"
        if here in LEAVES:
            assert there in (*LEAVES[here], here), f"{where}: {here} sees only {LEAVES[here]}"
        if here == "systems":
            assert not any(name.startswith("_") for name in module.split(".")[1:]), f"{where}: systems use public names"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_heavy_libraries_are_imported_where_they_are_used(path: Path) -> None:
    heavy = [(line, name) for line, name in imports(path, top_level_only=True) if name.split(".")[0] in HEAVY]
    engines_own = part_of(module_of(path)) in ("engines", "datasets")
    assert not [pair for pair in heavy if not (engines_own and pair[1].startswith("pyarrow"))]


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(SRC)}:{node.lineno} {node.name}", node


def test_files_stay_small() -> None:
    lengths = {str(path.relative_to(SRC)): len(path.read_text().splitlines()) for path in FILES}
    assert statistics.median(lengths.values()) <= 150
    assert sum(n <= 350 for n in lengths.values()) >= 0.9 * len(lengths)
    assert not {name: n for name, n in lengths.items() if n > 600}
    assert max(len(path.relative_to(SRC).parts) - 1 for path in FILES) <= 2


def test_functions_stay_small() -> None:
    sizes = {
        name: node.end_lineno - node.lineno + 1 for path in FILES for name, node in functions(path) if node.end_lineno
    }
    assert not {name: n for name, n in sizes.items() if n > 100}
    assert sum(n <= 40 for n in sizes.values()) >= 0.95 * len(sizes)


def test_functions_take_few_parameters() -> None:
    wide = []
    for path in FILES:
        for name, node in functions(path):
            arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            if len([a for a in arguments if a not in ("self", "cls")]) > 8:
                wide.append(name)
    assert not wide


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_no_leftovers(path: Path) -> None:
    text = path.read_text()
    assert not [word for word in ("TODO", "FIXME", "XXX", "import pickle", "shell=True") if word in text]


def test_exported_names_exist() -> None:
    import importlib

    for path in FILES:
        module = importlib.import_module(module_of(path))
        missing = [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)]
        assert not missing, f"{module_of(path)} exports {missing}"


def test_importing_sixfold_is_light() -> None:
    code = "import sys, sixfold; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)
