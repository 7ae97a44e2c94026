"""Structure of the package: its modules, the imports between them, and cycles."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeGuard


@dataclass(frozen=True, slots=True)
class Module:
    """One source file of the package."""

    path: Path
    name: str
    """Relative to the package, without suffix: "cli.app", and "cli" for cli/__init__.py."""
    tree: ast.Module
    lines: int


@cache
def read_modules(package: Path) -> Mapping[str, Module]:
    """Parse all modules of a package, keyed by name relative to it. The package's own __init__ has the name ""."""
    modules = {}
    for path in sorted(package.rglob("*.py")):
        text = path.read_text("utf-8")
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = Module(path, name, ast.parse(text), text.count("\n"))
    return modules


def imported_names(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Yield (module, name) for `from module import name`, (module, None) for `import module` and `import_module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in (
            getattr(node.func, "id", ""),
            getattr(node.func, "attr", ""),
        ):
            yield from ((argument.value, None) for argument in node.args if _is_text(argument))


def _is_text(node: ast.expr) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def import_graph(package: Path, modules: Mapping[str, Module]) -> dict[str, set[str]]:
    """Map each module to the modules of the package that it imports, inside functions too.

    The package's own __init__ is left out: as public API it is above everything, as holder of the version below.
    """
    graph: dict[str, set[str]] = {name: set() for name in modules if name}
    for name in graph:
        for source, imported in imported_names(modules[name].tree):
            if source.partition(".")[0] != package.name:
                continue
            target = source.partition(".")[2]
            if imported is not None and (inner := f"{target}.{imported}".lstrip(".")) in modules:
                target = inner
            if target in graph and target != name:
                graph[name].add(target)
    return graph


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components with more than one node (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph[node]:
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            start = stack.index(node)
            component, stack[start:] = stack[start:], []
            if len(component) > 1:
                found.append(sorted(component))

    for node in graph:
        if node not in index:
            visit(node)
    return found
