"""Result files of `voxcli bench`, and the saved benches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voxcli.bench.report.compare import DEFAULT_METRICS, Change, find_changes, find_differences, find_pairs
from voxcli.bench.report.markdown import to_csv, to_markdown
from voxcli.bench.report.record import Record, Report, from_json, to_json
from voxcli.cli.commands.bench.options import STDOUT, ResultOptions
from voxcli.cli.console import write_lines
from voxcli.cli.files import write_file, writing
from voxcli.cli.settings.files import find_user_places
from voxcli.errors import NotFound, RequestError, did_you_mean

_SUFFIX = ".json"
_KNOWN_MARKS = "-_."


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison with another bench."""

    name: str
    base: Record
    changes: tuple[Change, ...]
    differences: tuple[str, ...]
    """Of the machine and the settings."""


def benches_folder() -> Path:
    """Return the folder of saved benches."""
    return find_user_places().voices.with_name("benches")


def check_name(name: str) -> str:
    """Check that a name can be the name of a file.

    Raises:
        RequestError: it cannot.
    """
    if not name or name.startswith((".", "-")) or not all(mark.isalnum() or mark in _KNOWN_MARKS for mark in name):
        raise RequestError(f"Invalid name for a bench: {name!r}. Use letters, digits, - and _.")
    return name


def load_record(name: str) -> Record:
    """Read a bench by its name, or by the path of its JSON file.

    Raises:
        NotFound: it does not exist.
        RequestError: the file is not a bench.
    """
    if Path(name).suffix == _SUFFIX:
        path = Path(name)
    else:
        path = benches_folder() / f"{check_name(name)}{_SUFFIX}"
        if not path.exists():
            kept = sorted(found.stem for found in benches_folder().glob(f"*{_SUFFIX}"))
            there = f"Saved benches: {', '.join(kept)}." if kept else "None is saved yet: voxcli bench --save NAME."
            raise NotFound(f"Unknown bench {name!r}.{did_you_mean(name, kept)} {there}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotFound(f"Cannot read {path}: {error.strerror or error}.") from error
    return from_json(data, str(path))


def compare_with(name: str, base: Record, record: Record) -> Comparison:
    """Compare two benches."""
    changes = find_changes(find_pairs(base, record), DEFAULT_METRICS)
    return Comparison(name, base, tuple(changes), tuple(find_differences(base, record)))


def write_results(record: Record, report: Report, results: ResultOptions, compared: Comparison | None) -> list[str]:
    """Write all requested files, and return their names.

    Raises:
        DeviceError: a file cannot be written.
    """
    written = to_json(record, report)
    if results.json_file:
        _write(results.json_file, written)
    if results.markdown_file:
        _write(results.markdown_file, _markdown(record, report, compared))
    if results.csv_file:
        _write(results.csv_file, to_csv(record))
    if results.plot_file:
        _plot(record, report, results.plot_file)
    paths = [results.json_file, results.markdown_file, results.csv_file, results.plot_file]
    if results.save:
        kept = benches_folder() / f"{check_name(results.save)}{_SUFFIX}"
        _write(kept, written)
        paths.append(kept)
    return _names(paths)


def _names(paths: Sequence[Path | None]) -> list[str]:
    return [str(path) for path in paths if path and path != STDOUT]


def _markdown(record: Record, report: Report, compared: Comparison | None) -> str:
    if compared is None:
        return to_markdown(record, report)
    return to_markdown(record, report, compared.changes, compared.differences, compared.name)


def _plot(record: Record, report: Report, path: Path) -> None:
    from voxcli.bench.report.plot import write_plot  # imports matplotlib

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_plot(record, report, path)


def _write(path: Path, text: str) -> None:
    if path == STDOUT:
        write_lines(text.splitlines())
        return
    write_file(path, text.encode())
