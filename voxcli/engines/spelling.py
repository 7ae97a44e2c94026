"""Text normalization for engines, imported on first use because its grammars are slow to load."""

from voxcli.errors import NotFound


def spelled_out(text: str) -> str:
    """Return a text with its numbers, dates and units spelled out.

    Raises:
        NotFound: the library that reads Chinese numbers is not installed.
    """
    try:
        from voxcli.text.normalization.normalize import normalized
    except ModuleNotFoundError as error:
        raise NotFound(
            f'--normalize needs {error.name}, which is not installed. Run: pip install "voxcli[local]"'
        ) from error
    return normalized(text)
