"""`voxcli doctor`: check the installation, with a fix for each problem."""

from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli.console import write_json, write_lines, write_paragraphs, write_table
from voxcli.cli.exits import ExitCode
from voxcli.cli.options import parameters as options
from voxcli.cli.parser.help import documented
from voxcli.cli.settings.files import find_settings, find_wrong_variables

if TYPE_CHECKING:
    from voxcli.cli.commands.checks import Check

_LIVE_TEXT = "你好，voxcli is ready to speak."


@documented("voxcli doctor", "voxcli doctor --live", runs_without_settings=True)
def doctor(
    context: typer.Context,
    json: options.Json = False,
    live: Annotated[bool, typer.Option("--live", help="Speak a test through the loudspeaker.")] = False,
    audio_device: options.AudioDevice = None,
) -> None:
    """Check the installation, and show how to fix each problem."""
    from voxcli.cli.commands.checks import Verdict, check_settings, run_checks

    checks = [*run_checks(), *check_settings(find_settings(context), find_wrong_variables(context))]
    if live:
        checks.append(_speak_test(audio_device))
    if json:
        write_json([asdict(check) for check in checks])
    else:
        write_table([[check.verdict, check.name, check.detail] for check in checks])
        if fixes := [f"{check.name}: {check.fix}" for check in checks if check.fix]:
            write_lines(["", "To fix:"])
            write_paragraphs(fixes)
    if any(check.verdict is Verdict.FAIL for check in checks):
        raise typer.Exit(ExitCode.DEVICE)


def _speak_test(audio_device: str | None) -> "Check":
    from voxcli.cli.commands.checks import Check, Verdict
    from voxcli.cli.run_summary import brief, speed_parts
    from voxcli.engines import open_engine
    from voxcli.errors import VoxError
    from voxcli.sinks import ToSpeaker, open_sink
    from voxcli.synthesis.pipeline import Delivery, only_chunks, synthesize
    from voxcli.synthesis.timing import Stopwatch
    from voxcli.text.parts import read_parts

    stopwatch = Stopwatch()
    try:
        with open_sink([ToSpeaker(audio_device)]) as sink, closing(open_engine()) as engine:
            parts = read_parts([_LIVE_TEXT], markdown=False)
            for chunk in only_chunks(synthesize(engine, parts, Delivery(), stopwatch=stopwatch)):
                sink.write(chunk)
    except VoxError as error:
        return Check("live test", Verdict.FAIL, error.for_command_line)
    timings = stopwatch.timings
    first = "no sound" if timings.first_sound is None else f"first sound after {brief(timings.first_sound)}"
    detail = [first, f"{timings.audio:.1f} s of audio", *speed_parts(timings, sink.underruns)]
    return Check("live test", Verdict.OK, " · ".join(detail))
