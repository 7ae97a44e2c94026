"""Text normalization for engines, imported on first use because its grammars are slow to load."""

from voxcli.errors import NotFound
from voxcli.installation import install_command
from voxcli.synthesis.request import SynthesisRequest


def spelled_out(text: str, request: SynthesisRequest) -> str:
    """Return the text of a request with its numbers, dates and units spelled out.

    Args:
        text: the request's, or what a model is to read in its place.

    Raises:
        NotFound: the library that reads Chinese numbers is not installed.
    """
    try:
        from voxcli.text.normalization.normalize import normalized
    except ModuleNotFoundError as error:
        raise NotFound(
            f"Spelling out numbers needs {error.name}, which is not installed.",
            on_command_line=f"Run: {install_command('local')}",
        ) from error
    return normalized(text, language=request.language, text_language=request.text_language)
