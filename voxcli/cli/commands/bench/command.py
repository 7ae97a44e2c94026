"""`voxcli bench`: measure latency and throughput."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from voxcli.bench.measure.metrics import METRICS, Metric
from voxcli.bench.measure.plan import LENGTHS
from voxcli.cli.commands.bench import options as bench_options
from voxcli.cli.commands.bench.options import LoadOptions, MeasuringOptions, ResultOptions
from voxcli.cli.commands.bench.server_options import Servers, SubjectOptions
from voxcli.cli.console import Console, logs_on_console
from voxcli.cli.exits import ExitCode
from voxcli.cli.options import parameters as options
from voxcli.cli.options.sampling import SamplingOptions
from voxcli.cli.options.speech import DeliveryOptions, VoiceOptions
from voxcli.cli.parser.help import documented
from voxcli.errors import ModelError, RemoteError, did_you_mean

if TYPE_CHECKING:
    from voxcli.bench.report.record import Record, Settings
    from voxcli.cli.commands.bench.measure import Job


def _definition(metric: Metric) -> str:
    also = f", in conditions {metric.short}" if metric.short != metric.title else ""
    return f"{metric.title}{also}: {metric.meaning}."


_OLD_FILES = {
    "--json": (".json",),
    "--markdown": (".md", ".markdown"),
    "--csv": (".csv",),
    "--plot": bench_options.PICTURES,
}
"""Options that were for one kind of results each."""


def translate_old_files(arguments: list[str]) -> list[str]:
    """Return the arguments with the old options for result files, such as --json FILE, replaced by --output.

    Raises:
        typer.BadParameter: such an option has no file of its kind, so that it may not be meant as an old one.
    """
    words, result = list(arguments), list[str]()
    while words:
        word = words.pop(0)
        name, joined, value = word.partition("=")
        if name not in _OLD_FILES:
            result.append(word)
            if word == "--":
                return [*result, *words]
            continue
        follows = value if joined else (words[0] if words else "")
        if follows == bench_options.STDOUT and name != "--plot":
            words = words if joined else words[1:]
            result += ["--json"] if name == "--json" else ["--print", _OLD_FILES[name][0].removeprefix(".")]
        elif Path(follows).suffix.lower() in _OLD_FILES[name]:
            words = words if joined else words[1:]
            result += ["--output", follows]
        elif name == "--json" and not joined:
            result.append(word)
        else:
            raise typer.BadParameter(
                f"Results are written with --output FILE, as in: --output r{_OLD_FILES[name][0]}", param_hint=name
            )
    return result


@documented(
    "voxcli bench short medium long",
    "voxcli bench short --remote http://box:7861 --runs 5 -o r.json -o r.png",
    "voxcli bench medium --concurrency 1,4,16",
    "voxcli bench short --compare base --fail-if 'ttfb_p50>10%'",
    basics=(
        *("runs", "mode", "cold", "warm", "concurrency", "output", "save", "compare", "fail_if"),
        *("model", "servers", "json"),
    ),
    notes=("Metrics:", *map(_definition, METRICS)),
    translate=translate_old_files,
)
def bench(
    context: typer.Context,
    measuring: MeasuringOptions,
    load: LoadOptions,
    results: ResultOptions,
    who: VoiceOptions,
    engine: SubjectOptions,
    sampling: SamplingOptions,
    servers: Servers = None,
    texts: bench_options.Texts = None,
    literal: bench_options.LiteralTexts = None,
    speed: options.Speed = 1.0,
    normalize: options.Normalize = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Measure latency and throughput. Streaming is compared with waiting for the complete speech.

    Each text is one request, as with `voxcli say --no-split`. Alternatives are interleaved, nothing is played, and
    failed runs are counted and shown but not averaged.
    """
    from voxcli.bench.measure.plan import choose_texts
    from voxcli.cli.commands.bench.measure import Job
    from voxcli.cli.commands.bench.new_process import shared_arguments
    from voxcli.cli.commands.bench.subjects import choose_subjects

    console = Console(quiet=quiet)
    results.check(measuring.runs)
    sampling.auto_steps(context, played=False)
    levels = load.levels()
    reading = DeliveryOptions(speed=speed, normalize=normalize)
    with logs_on_console(console, verbose=verbose):
        job = Job(
            texts=choose_texts(_checked(texts or []), measuring.language(), _read_text, literal or []),
            subjects=choose_subjects(context, engine, who, servers or [], warm=bool(measuring.warm)),
            settings=_settings(measuring, load, sampling, reading, who),
            levels=levels,
            new_request=lambda text, voice, drawn: reading.to_settings(voice, drawn, denoise=who.denoise).request(text),
            sampling=sampling.to_settings(),
            cold_starts=measuring.cold,
            warm_starts=measuring.warm,
            say_arguments=shared_arguments(context),
        )
        _measure_and_report(job, results, console, context.obj.raise_if_interrupted)


def _settings(
    measuring: MeasuringOptions,
    load: LoadOptions,
    sampling: SamplingOptions,
    reading: DeliveryOptions,
    who: VoiceOptions,
) -> "Settings":
    from voxcli.bench.report.record import Settings

    levels = load.levels()
    return Settings(
        modes=measuring.modes(load=bool(levels)),
        runs=measuring.runs,
        warmup=measuring.warmup,
        requests=load.requests,
        concurrency=tuple(level.concurrency for level in levels if level.concurrency),
        rates=tuple(level.rate for level in levels if level.rate),
        prebuffer_seconds=measuring.prebuffer,
        steps=sampling.to_settings().steps,
        guidance=sampling.cfg,
        seed=sampling.seed or 0,
        speed=reading.speed,
        voice=who.voice or next((clip.name for clip in (who.ref_audio, who.prompt_audio) if clip), None),
        style=who.instruct,
        min_patches=sampling.min_len,
        max_patches=sampling.max_len,
        retries=sampling.retry_badcase,
        normalize=reading.normalize,
    )


def _checked(texts: list[str]) -> list[str]:
    """Refuse what is nearly the name of a standard text, or the name of a file, and would be measured as a text."""
    for text in texts:
        if text not in LENGTHS and (near := did_you_mean(text, LENGTHS)):
            raise typer.BadParameter(f"There is no text {text!r}.{near} To measure the word itself: --text {text}")
        with suppress(OSError, ValueError):
            if not text.startswith("@") and Path(text).suffix and Path(text).is_file():
                raise typer.BadParameter(f"{text} is a file. To measure what is in it: @{text}")
    return texts


def _read_text(name: str) -> str:
    """Read a text file."""
    from voxcli.cli.text_source import TextDecoder, read_file

    decoder = TextDecoder(name)
    return decoder.decode(read_file(Path(name))) + decoder.decode(b"")


def _measure_and_report(job: "Job", results: ResultOptions, console: Console, check: Callable[[], None]) -> None:
    from voxcli.bench.report.compare import check_comparable
    from voxcli.bench.report.gate import find_breaches
    from voxcli.bench.report.verdict import build_report
    from voxcli.cli.commands.bench.files import check_saved, compare_with, load_record, write_results
    from voxcli.cli.commands.bench.measure import measure
    from voxcli.cli.commands.bench.view import show_report

    if results.save:
        check_saved(results.save, force=results.force)
    base = load_record(results.compare) if results.compare else None
    if results.compare and base:
        check_comparable(base, resident=bool(job.warm_starts), name=results.compare)
    record, stopped = measure(job, console, check)
    if stopped and not (record.runs or record.cold or record.warm):
        raise stopped
    report = build_report(record)
    compared = compare_with(results.compare, base, record) if results.compare and base else None
    show_report(record, report, compared, console, on_stdout=results.printed is None)
    for name in write_results(record, report, results, compared):
        console.note(f"wrote {name}")
    if stopped:
        raise stopped
    breaches = find_breaches(results.conditions(), record, base)
    for breach in breaches:
        console.error(breach)
    if breaches:
        raise typer.Exit(ExitCode.INTERNAL)
    _fail_if_all_failed(record)


def _fail_if_all_failed(record: "Record") -> None:
    failures = [run.failure for run in record.runs if run.failure and not run.warmup]
    if failures and all(run.failure for run in record.runs if not run.warmup):
        message = f"All runs failed. {failures[0].message}"
        raise RemoteError(message) if any(subject.url for subject in record.subjects) else ModelError(message)
