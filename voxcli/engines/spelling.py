"""The door to spelling out numbers, which needs grammars that few ask for."""

from voxcli.errors import NotFound


def spelled_out(text: str) -> str:
    """Return a text with its numbers, dates and units in words.

    Raises:
        NotFound: what reads Chinese numbers is not installed.
    """
    try:
        from voxcli.text.normalization.normalize import normalized
    except ModuleNotFoundError as error:
        raise NotFound(
            f'--normalize needs {error.name}, which is not installed. Run: pip install "voxcli[local]"'
        ) from error
    return normalized(text)
