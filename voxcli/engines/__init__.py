"""Things that satisfy `Engine`, and the door to them."""

from voxcli.errors import NotFound, did_you_mean
from voxcli.speech import Engine

BUILTIN_MODEL = "espeak"


def model_names() -> list[str]:
    """Name the models that can speak on this machine, the best first."""
    return [BUILTIN_MODEL]


def open_engine(model: str | None = None) -> Engine:
    """Make a model ready to speak. The caller closes what it gets.

    Args:
        model: one of `model_names`; None takes the best.

    Raises:
        NotFound: no such model here.
        ModelError: it is damaged.
    """
    names = model_names()
    name = names[0] if model is None else model
    if name not in names:
        raise NotFound(
            f"There is no model {name!r} on this machine.{did_you_mean(name, names)} It has: {', '.join(names)}."
        )
    from voxcli.engines.builtin import BuiltinEngine

    return BuiltinEngine()
