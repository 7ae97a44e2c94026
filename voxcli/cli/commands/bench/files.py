"""Result files of `voxcli bench`, and the saved benches."""

from dataclasses import dataclass
from pathlib import Path

from voxcli.bench.report.compare import DEFAULT_METRICS, Change, find_changes, find_differences, find_pairs
from voxcli.bench.report.markdown import to_csv, to_markdown
from voxcli.bench.report.record import Record, Report, from_json, to_json
from voxcli.cli.commands.bench.options import PICTURES, ResultOptions
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
        path = _saved(name)
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


def check_saved(name: str, *, force: bool) -> None:
    """Refuse a name that cannot be the name of a file, or that another bench has.

    Raises:
        RequestError: it cannot be used.
    """
    if _saved(name).exists() and not force:
        raise RequestError(f"A bench {name!r} is saved already.", on_command_line="Use --force to overwrite it.")


def write_results(record: Record, report: Report, results: ResultOptions, compared: Comparison | None) -> list[str]:
    """Write all requested files, and return their names. Those on standard output are not among them.

    Raises:
        DeviceError: a file cannot be written.
    """
    paths = results.files()
    for path in paths:
        suffix = path.suffix.lower()
        if suffix in PICTURES:
            _plot(record, report, path)
        else:
            write_file(path, _text_of(suffix, record, report, compared).encode())
    if results.save:
        paths.append(_saved(results.save))
        write_file(paths[-1], to_json(record, report).encode())
    if results.printed:
        write_lines(_text_of(results.printed, record, report, compared).splitlines())
    return [str(path) for path in paths]


def _text_of(suffix: str, record: Record, report: Report, compared: Comparison | None) -> str:
    if suffix == _SUFFIX:
        return to_json(record, report)
    return to_csv(record) if suffix == ".csv" else _markdown(record, report, compared)


def _saved(name: str) -> Path:
    return benches_folder() / f"{check_name(name)}{_SUFFIX}"


def _markdown(record: Record, report: Report, compared: Comparison | None) -> str:
    if compared is None:
        return to_markdown(record, report)
    return to_markdown(record, report, compared.changes, compared.differences, compared.name)


def _plot(record: Record, report: Report, path: Path) -> None:
    from voxcli.bench.report.plot import write_plot  # imports matplotlib

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_plot(record, report, path)
