"""Options for how a model samples."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli.options import completion as complete
from voxcli.cli.options import parameters as options

if TYPE_CHECKING:
    from voxcli.synthesis.request import Sampling

_SAMPLING = "Sampling"
_USUAL_STEPS = "10"

Steps = Annotated[
    str,
    options.setting(
        "--steps",
        metavar="NUMBER|auto",
        help="Solver steps per patch: more are better and slower; 6 to 10 work well. auto: 4 to 10, from sentence to "
        "sentence as many as keep up with playback, so that a seed does not repeat the speech.",
        autocompletion=complete.auto,
        callback=options.number_or_auto(int, 1, 100),
        rich_help_panel=_SAMPLING,
    ),
]
Guidance = Annotated[
    float,
    options.setting(
        "--cfg",
        min=0.0,
        max=10.0,
        help="Classifier-free guidance: how closely the text and voice are followed.",
        rich_help_panel=_SAMPLING,
    ),
]
Seed = Annotated[
    int | None,
    options.setting(
        "--seed",
        min=0,
        max=2**63 - 1,
        help="The same seed gives the same speech. Default: random.",
        rich_help_panel=_SAMPLING,
    ),
]
LeastLength = Annotated[
    int,
    typer.Option(
        "--min-len", min=0, metavar="PATCHES", help="Minimum length of a sentence.", rich_help_panel=_SAMPLING
    ),
]
MostLength = Annotated[
    int | None,
    typer.Option(
        "--max-len",
        min=1,
        metavar="PATCHES",
        help="Maximum length. Default: depends on the length of the text.",
        rich_help_panel=_SAMPLING,
    ),
]
Retries = Annotated[
    int,
    typer.Option(
        "--retry-badcase",
        min=0,
        max=3,
        metavar="TIMES",
        help="How often to regenerate speech that is far too long for its text. Disables streaming.",
        rich_help_panel=_SAMPLING,
    ),
]


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """Sampling parameters."""

    steps: Steps = _USUAL_STEPS
    cfg: Guidance = 2.0
    seed: Seed = None
    min_len: LeastLength = 2
    max_len: MostLength = None
    retry_badcase: Retries = 0

    def check(self) -> None:
        """Refuse a shortest length above the longest."""
        if self.max_len is not None and self.min_len > self.max_len:
            raise typer.BadParameter(f"--min-len {self.min_len} is more than --max-len {self.max_len}.")

    def auto_steps(self, context: typer.Context, *, remote: bool = False, played: bool = True) -> bool:
        """Tell whether the steps follow the speed of this machine; refuse that where nothing is played by it.

        A setting gives way there to the usual number of steps.
        """
        if self.steps == options.AUTO and options.on_command_line(context, "steps"):
            if remote:
                raise typer.BadParameter(
                    "auto is for models on this machine: how fast a server is says nothing of its steps. "
                    "Give a number.",
                    param_hint="--steps",
                )
            if not played:
                raise typer.BadParameter(
                    "auto changes the steps while a text is played. Give a number here.", param_hint="--steps"
                )
        return self.steps == options.AUTO and played and not remote

    def to_settings(self) -> "Sampling":
        from voxcli.synthesis.request import Sampling

        return Sampling(
            steps=int(_USUAL_STEPS if self.steps == options.AUTO else self.steps),
            guidance=self.cfg,
            seed=self.seed,
            min_patches=self.min_len,
            max_patches=self.max_len,
            retries=self.retry_badcase,
        )
