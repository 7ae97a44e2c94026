"""Vocabulary: one class name has one meaning, module docstrings begin with a noun, and retired words stay away."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

import voxcli
from tests.structure import read_modules
from voxcli.cli.app import app

PACKAGE = Path(voxcli.__file__).parent
ROOT = PACKAGE.parent

RETIRED_NAMES = (
    *("Words", "Wishes", "Order", "Ways", "Patience", "Trouble", "Listener", "ListenerGone", "TwoStrikes", "ModelLife"),
    *("Lane", "Mark", "Memory", "Place", "Pulse", "MannersOptions", "DoorOptions", "Ask", "Placed", "InOnePiece"),
    *("Circumstances", "Shelf", "Evenness", "Seams", "Prose", "Draft"),
    *("_Row", "_Flight", "_Crowd", "_Patient", "_struck", "_land", "_tired", "_guides"),
    *("_FAREWELL", "_FAREWELL_SECONDS", "_GOING_ON", "_ENOUGH_SECONDS"),
    *("owes_sound", "seat", "hear", "heard", "raise_if_struck", "persistently", "patiently", "dismiss", "calm"),
    *("keep_newest", "attend_past", "attend_all", "shortage_told", "wait_asleep", "passed_over"),
)
"""Identifiers that have been replaced by the terms of the field."""

RETIRED_PHRASES = (
    *("whoever", "nobody", "so many", "it is as good as over", "no ears for", "nobody's business", "auctioneers"),
    *("says no (", "is no mark that", "is no address of", "is no KEY=VALUE", "hung up without", "stayed silent for"),
    *("what is said about it", "where it goes", "how it sounds", "who may come in", "how much at once"),
    *("all else", "says too little", "no player would run dry", "goes on where it was cut", "speaks from now on"),
    *("what will spoil the voice", "from the first patch on", "the command line that speaks", "start voxcli anew"),
    *("take in a voice", "what becomes of", "try again so often", "a change that may be chance"),
)
"""Phrases for users and in comments, found in any case."""

NO_NOUN = re.compile(r"(What|Who|Where|Which|How|Whether)\b")


LISTS_OF_WORDS = {"text/sentences/abbreviations.py"}
"""They hold English words as data."""


def user_texts() -> Iterator[tuple[str, str]]:
    """Yield the source and the text of everything that a user or a contributor reads, help pages included."""
    examples = sorted((ROOT / "examples").rglob("*.py"))
    files = [*(module.path for module in read_modules(PACKAGE).values()), ROOT / "README.md", *examples]
    for path in files:
        if path.relative_to(PACKAGE.parent).as_posix().removeprefix("voxcli/") not in LISTS_OF_WORDS:
            yield str(path.relative_to(ROOT)), path.read_text("utf-8")
    yield from help_texts(get_command(app), "voxcli")


def help_texts(command: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield the help of a command, of its options, and of the commands below it."""
    yield f"{name} --help", "\n".join([command.help or "", *(getattr(one, "help", "") or "" for one in command.params)])
    for below, its in getattr(command, "commands", {}).items():
        yield from help_texts(its, f"{name} {below}")


def identifiers(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the names that a module defines or uses, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno


def test_retired_names_are_not_used() -> None:
    found = {
        f"{module.path.relative_to(ROOT)}:{line}: {name}"
        for module in read_modules(PACKAGE).values()
        for name, line in identifiers(module.tree)
        if name in RETIRED_NAMES
    }
    assert sorted(found) == []


def test_retired_phrases_are_not_used() -> None:
    phrases = (r"\s+".join(map(re.escape, phrase.split())) for phrase in RETIRED_PHRASES)
    pattern = re.compile(rf"\b(?:{'|'.join(phrases)})", re.IGNORECASE)
    found = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for path, text in user_texts()
        for match in pattern.finditer(text)
    ]
    assert found == []


def test_a_public_class_name_has_one_meaning() -> None:
    places = defaultdict(list)
    for module in read_modules(PACKAGE).values():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{module.path.relative_to(ROOT)}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_module_docstrings_begin_with_a_noun() -> None:
    found = [
        f"{module.path.relative_to(ROOT)}: {docstring.splitlines()[0]}"
        for module in read_modules(PACKAGE).values()
        if NO_NOUN.match(docstring := ast.get_docstring(module.tree) or "")
    ]
    assert found == []
