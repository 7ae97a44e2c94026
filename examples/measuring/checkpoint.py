"""A random checkpoint of the true size: speed does not depend on what the weights say."""

import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def find_or_write(folder: Path, family: str, size: str) -> Path:
    """Return the folder of a checkpoint in `folder`. One that was written before is taken again."""
    checkpoint = folder / f"{family}-{size}"
    if not checkpoint.exists():
        _let_tests_be_ours()
        from tests.checkpoints import write_checkpoint

        unfinished = folder / f"{checkpoint.name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        write_checkpoint(unfinished, family, 1, size="tiny" if size == "tiny" else "full")
        unfinished.rename(checkpoint)
    return checkpoint


def as_stored_in(checkpoint: Path, dtype: str, folder: Path) -> Path:
    """Return the checkpoint with another dtype in its config: the package has no other way to be asked for one."""
    config: dict[str, Any] = json.loads((checkpoint / "config.json").read_text("utf-8"))
    if config["dtype"] == dtype:
        return checkpoint
    changed = folder / f"{checkpoint.name}-{dtype}"
    changed.mkdir(exist_ok=True)
    for file in checkpoint.iterdir():
        if file.name != "config.json" and not (changed / file.name).exists():
            (changed / file.name).symlink_to(file.resolve())
    (changed / "config.json").write_text(json.dumps(config | {"dtype": dtype}), "utf-8")
    return changed


def read_into_page_cache(checkpoint: Path) -> int:
    """Read all files once, and return how many bytes they are."""
    count = 0
    for path in checkpoint.iterdir():
        with path.open("rb") as file:
            while piece := file.read(1 << 24):
                count += len(piece)
    return count


def _let_tests_be_ours() -> None:
    """Any installed package that is called `tests`, and there are such, would win over a folder without __init__.py."""
    if "tests" not in sys.modules:
        package = types.ModuleType("tests")
        package.__path__ = [str(ROOT / "tests")]
        sys.modules["tests"] = package
