"""The voice that a model drew last, remembered until the next one, so that it can be kept."""

import logging

from voxcli.cli.files import replace_file
from voxcli.cli.settings import find_user_places
from voxcli.errors import NotFound, RequestError
from voxcli.speech import Voice

HOW_TO_KEEP = "To keep this voice: voxcli voices add NAME --last"

_NAME = "last"
_FILE = "last.voxvoice"
_MOST_BYTES = 6_000_000
"""Of a clip: a minute at 48 kHz. What is longer is a text said in one go, and no clip to imitate a voice after."""

_log = logging.getLogger(__name__)


def remember(voice: Voice) -> bool:
    """Put a voice in the place of the one before. Tell whether that worked; nobody has asked for it yet."""
    if voice.prompt and len(voice.prompt.clip.data) > _MOST_BYTES:
        return False
    from voxcli.voices.archive import pack  # loads the decoders, which are slow to load

    path = find_user_places().cache / _FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, pack(_NAME, voice))
    except OSError as error:
        _log.debug("the voice is not remembered: %s", error)
        return False
    return True


def recall() -> Voice:
    """Return the voice that was remembered.

    Raises:
        NotFound: there is none.
    """
    from voxcli.voices.archive import unpack

    path = find_user_places().cache / _FILE
    try:
        return unpack(path.read_bytes(), label=str(path))[1]
    except (OSError, RequestError) as error:
        _log.debug("no voice is remembered: %s", error)
        raise NotFound(
            "There is no last voice. When nobody is named, a VoxCPM model draws one: "
            'say something without --voice, as in voxcli say "Hello", and try again.'
        ) from error
