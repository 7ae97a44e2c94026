"""Options for what a file says of itself."""

from dataclasses import dataclass
from typing import Annotated

import typer

from voxcli.cli.options.parameters import on_command_line, setting

_PANEL = "Output"

Metadata = Annotated[
    bool,
    setting(
        "--metadata/--no-metadata",
        help="Write into files what made them: see `voxcli help metadata`. Without it, only that a machine did.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
KeepText = Annotated[
    bool,
    typer.Option(
        "--keep-text", help="Write the text into the file too, and not only its hash.", rich_help_panel=_PANEL
    ),
]


@dataclass(frozen=True, slots=True)
class MetadataOptions:
    """What a file says of itself."""

    metadata: Metadata = True
    keep_text: KeepText = False

    def check(self, context: typer.Context, *, outputs: bool) -> None:
        """Refuse options that contradict each other, or have no effect.

        outputs: whether a file is written, or standard output.
        """
        if self.keep_text and not self.metadata:
            if on_command_line(context, "metadata"):
                raise typer.BadParameter("--keep-text contradicts --no-metadata. Give one of them.")
            raise typer.BadParameter("The settings say no-metadata. Give --metadata too.", param_hint="--keep-text")
        if self.keep_text and not outputs:
            raise typer.BadParameter("--keep-text has no effect without -o: nothing is written.")
