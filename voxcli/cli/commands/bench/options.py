"""Options of `voxcli bench` for measurements, load and results."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from voxcli.errors import RequestError, did_you_mean
from voxcli.installation import install_command

if TYPE_CHECKING:
    from voxcli.bench.measure.plan import Level, Mode
    from voxcli.bench.report.gate import FailCondition

T = TypeVar("T")

_MEASURING = "Measurement"
_LOAD = "Load"
_RESULTS = "Results"
STDOUT = "-"

Texts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TEXT...",
        help="short, medium, long, @FILE, or any text. Default: short medium long.",
        show_default=False,
    ),
]
LiteralTexts = Annotated[
    list[str] | None,
    typer.Option("--text", metavar="TEXT", help="A text to measure, whatever it looks like. Repeatable."),
]
Lang = Annotated[
    str, typer.Option("--lang", help="Language of short, medium and long: zh or en.", rich_help_panel=_MEASURING)
]
Modes = Annotated[
    str | None,
    typer.Option(
        "--mode",
        metavar="stream,whole",
        help="Stream the speech, request it as a whole, or compare both. Default: both; under load, stream.",
        rich_help_panel=_MEASURING,
    ),
]
Runs = Annotated[int, typer.Option("--runs", min=1, help="Runs per text and mode.", rich_help_panel=_MEASURING)]
Warmup = Annotated[
    int,
    typer.Option("--warmup", min=0, help="Warm-up runs per text and mode, not counted.", rich_help_panel=_MEASURING),
]
ColdStarts = Annotated[
    int,
    typer.Option(
        "--cold",
        min=0,
        metavar="TIMES",
        help="Cold starts: run a fresh process this often, and measure until its first byte of audio.",
        rich_help_panel=_MEASURING,
    ),
]
WarmStarts = Annotated[
    int,
    typer.Option(
        "--warm",
        min=0,
        metavar="TIMES",
        help="The same, and all runs, with the engine loaded before.",
        rich_help_panel=_MEASURING,
    ),
]
Prebuffer = Annotated[
    float,
    typer.Option(
        "--prebuffer",
        min=0.0,
        metavar="SECONDS",
        help="Audio that a player buffers before it starts.",
        rich_help_panel=_MEASURING,
    ),
]
Concurrency = Annotated[
    str | None,
    typer.Option(
        "--concurrency",
        metavar="1,4,16",
        help="Keep this many requests running, level by level.",
        rich_help_panel=_LOAD,
    ),
]
Rate = Annotated[
    str | None,
    typer.Option(
        "--rate",
        metavar="0.5,2",
        help="Send this many requests per second, at random times (open loop).",
        rich_help_panel=_LOAD,
    ),
]
Requests = Annotated[
    int | None,
    typer.Option(
        "--requests", min=1, help="Requests per level. Default: --runs times the concurrency.", rich_help_panel=_LOAD
    ),
]
Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write the results: .json, .md, .csv, or a plot as .png. Repeatable.",
        rich_help_panel=_RESULTS,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print all results, with every run, as JSON.", rich_help_panel=_RESULTS)
]
Print = Annotated[
    Literal["md", "csv"] | None,
    typer.Option("--print", help="Print the results as Markdown or CSV instead.", rich_help_panel=_RESULTS),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing results.", rich_help_panel=_RESULTS)]
Save = Annotated[
    str | None,
    typer.Option("--save", metavar="NAME", help="Save the results under this name.", rich_help_panel=_RESULTS),
]
Compare = Annotated[
    str | None,
    typer.Option(
        "--compare",
        metavar="NAME",
        help="Compare with saved results, or with a JSON file.",
        rich_help_panel=_RESULTS,
    ),
]
FailIf = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if",
        metavar="CONDITION",
        help="Exit with 1 if the condition is met: 'ttfb_p50>10%' relative to --compare, 'rtf_mean>0.5', 'failed>0'. "
        "Changes that are not statistically significant are ignored. Repeatable.",
        rich_help_panel=_RESULTS,
    ),
]


@dataclass(frozen=True, slots=True)
class MeasuringOptions:
    """What to measure, and how often."""

    lang: Lang = "zh"
    mode: Modes = None
    runs: Runs = 5
    warmup: Warmup = 1
    cold: ColdStarts = 0
    warm: WarmStarts = 0
    prebuffer: Prebuffer = 0.0

    def language(self) -> str:
        from voxcli.bench.measure.plan import LANGUAGES

        if self.lang not in LANGUAGES:
            raise typer.BadParameter(f"Choose from: {', '.join(LANGUAGES)}.", param_hint="--lang")
        return self.lang

    def modes(self, *, load: bool) -> "tuple[Mode, ...]":
        """Return the modes to measure."""
        from voxcli.bench.measure.plan import Mode

        if self.mode is None:
            return (Mode.STREAM,) if load else (Mode.STREAM, Mode.WHOLE)
        modes = _parse_list(self.mode, Mode, "--mode", "Expected stream, whole, or stream,whole.")
        return tuple(modes)


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The load, as concurrent requests or as requests per second."""

    concurrency: Concurrency = None
    rate: Rate = None
    requests: Requests = None

    def levels(self) -> "list[Level]":
        """Return the levels of load in ascending order; empty if requests are made one at a time."""
        from voxcli.bench.measure.plan import Level

        at_once = _parse_list(self.concurrency, _parse_count, "--concurrency", "Expected numbers such as 1,4,16.")
        rates = _parse_list(self.rate, _parse_rate, "--rate", "Expected requests per second, such as 0.5,2.")
        if self.requests and not (at_once or rates):
            raise typer.BadParameter(
                "Only with --concurrency or --rate; otherwise use --runs.", param_hint="--requests"
            )
        return [Level(concurrency=count) for count in sorted(at_once)] + [Level(rate=rate) for rate in sorted(rates)]


@dataclass(frozen=True, slots=True)
class ResultOptions:
    """Where the results go."""

    output: Outputs = None
    json: Json = False
    print: Print = None
    force: Force = False
    save: Save = None
    compare: Compare = None
    fail_if: FailIf = None

    def conditions(self) -> "list[FailCondition]":
        from voxcli.bench.report.gate import parse_condition

        try:
            return [parse_condition(text) for text in self.fail_if or []]
        except RequestError as error:
            raise typer.BadParameter(error.for_command_line, param_hint="--fail-if") from error

    @property
    def printed(self) -> str | None:
        """The suffix of the results that are written to standard output instead of tables."""
        return ".json" if self.json else f".{self.print}" if self.print else None

    def files(self) -> list[Path]:
        """Return the files to write."""
        return [Path(name) for name in self.output or []]

    def check(self, runs: int) -> None:
        """Refuse options that would fail only after the measurement.

        Args:
            runs: of each text and mode.
        """
        from voxcli.bench.report.gate import check_conditions

        try:
            check_conditions(self.conditions(), runs, compares=self.compare is not None)
        except RequestError as error:
            raise typer.BadParameter(error.for_command_line, param_hint="--fail-if") from error
        if self.json and self.print:
            raise typer.BadParameter("Either JSON or another form can be printed, not both.", param_hint="--print")
        for file in self.files():
            self._check_file(file)
        if len(set(self.files())) < len(self.files()):
            raise typer.BadParameter("The same file is given twice.", param_hint="--output")

    def _check_file(self, file: Path) -> None:
        known = ", ".join(RESULT_SUFFIXES)
        if str(file) == STDOUT:
            raise typer.BadParameter("For the results on standard output, use --json.", param_hint="--output")
        if file.suffix.lower() not in RESULT_SUFFIXES:
            near = did_you_mean(file.suffix, RESULT_SUFFIXES) if file.suffix else ""
            raise typer.BadParameter(
                f"Cannot tell the kind of results from the name {file}.{near} Use one of the suffixes {known}.",
                param_hint="--output",
            )
        if file.is_dir() or not file.parent.is_dir():
            raise typer.BadParameter(
                f"Cannot write {file}: it is a folder, or its folder does not exist.", param_hint="--output"
            )
        if file.exists() and not self.force:
            raise RequestError(f"{file} exists already.", on_command_line="Use --force to overwrite it.")
        if file.suffix.lower() in PICTURES and importlib.util.find_spec("matplotlib") is None:
            raise typer.BadParameter(
                f"Plots need matplotlib, which is not installed. Run: {install_command('plot')}", param_hint="--output"
            )


PICTURES = (".png", ".svg", ".pdf")
RESULT_SUFFIXES = (".json", ".md", ".csv", *PICTURES)


def _parse_list(text: str | None, parse: Callable[[str], T], option: str, advice: str) -> list[T]:
    """Parse a comma-separated list, without duplicates."""
    try:
        return list(dict.fromkeys(parse(word.strip()) for word in text.split(","))) if text is not None else []
    except ValueError:
        raise typer.BadParameter(advice, param_hint=option) from None


def _parse_count(text: str) -> int:
    if not 1 <= int(text) <= _MOST_AT_ONCE:
        raise ValueError
    return int(text)


def _parse_rate(text: str) -> float:
    if not 0 < float(text) <= _MOST_PER_SECOND:
        raise ValueError
    return float(text)


_MOST_AT_ONCE, _MOST_PER_SECOND = 1024, 1000.0
