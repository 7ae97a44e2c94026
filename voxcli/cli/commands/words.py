"""Words of a job: the speakers of its text, and how what they say is pronounced."""

from dataclasses import replace

import typer

from voxcli.cli.commands.speak_job import SpeakJob
from voxcli.cli.console import Console
from voxcli.cli.options.words import WordsOptions
from voxcli.cli.text_source import known_text
from voxcli.errors import RequestError


def with_words(context: typer.Context, options: WordsOptions, job: SpeakJob, console: Console) -> SpeakJob:
    """Return a job with the speakers of its text.

    Raises:
        RequestError: a name is not in the cast, or a voice cannot be used.
    """
    options.check(split=job.split)
    text = known_text(job.text)
    if options.cast or (job.split and text is not None and "[voice:" in text.lower()):
        from voxcli.cli.commands.casting import open_script

        script = open_script(context, options.cast, text, job.engine, job.delivery, console)
        job = replace(
            job,
            engine=script.engine,
            delivery=script.delivery,
            speakers=script.speakers,
            script=script.pieces,
        )
    if options.stems:
        from voxcli.sinks import ToStems

        overwrite = bool(context.params.get("force"))
        if not overwrite and any(options.stems.glob("*.wav")):
            raise RequestError(
                f"There are .wav files in {options.stems} already.",
                on_command_line="Use --force to overwrite them, or name another folder with --stems.",
            )
        job = replace(job, targets=[*job.targets, ToStems(options.stems, overwrite=overwrite)])
    return job
