"""Settings of a text stream to a server, as far as its messages can express what is asked for."""

import logging
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voxcli.engines.remote.probe import Server
from voxcli.engines.remote.settings import RemoteSettings
from voxcli.errors import RemoteError
from voxcli.protocols.openai.servers import Catalog, choose_model
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.request import Sampling

if TYPE_CHECKING:
    from voxcli.engines.remote.text_stream import TextStream

_log = logging.getLogger(__name__)


def open_text_stream(
    server: Server, settings: RemoteSettings, delivery: Delivery, *, markdown: bool
) -> "TextStream | None":
    """Connect to a server that takes a text while it is being written; None if it does not, or not in this manner."""
    if not _may_have_socket(server):
        return None
    config = _find_config(server, settings, delivery, markdown=markdown)
    if config is None:
        return None
    from voxcli.engines.remote.text_stream import TextStream  # loads a library that nothing else needs

    try:
        return TextStream(server, settings, delivery, config, markdown=markdown)
    except RemoteError as error:
        _log.debug("%s Asking for each sentence instead", error)
        return None


def _may_have_socket(server: Server) -> bool:
    """Tell whether a server may take a text while it is being written."""
    catalog = server.catalog or Catalog()
    return server.is_voxcli or catalog.is_vllm or catalog.is_sglang


def _find_config(
    server: Server, settings: RemoteSettings, delivery: Delivery, *, markdown: bool
) -> dict[str, Any] | None:
    """Return the settings of a session; None if they cannot express what is asked for."""
    options, sampling, voice = settings.options, delivery.sampling, delivery.voice
    own, catalog = server.is_voxcli, server.catalog or Catalog()
    plain = replace(Sampling(), seed=sampling.seed, **({"steps": sampling.steps} if own else {}))
    cannot = (
        *(sampling != plain, delivery.gap_seconds is not None, delivery.denoise, delivery.normalize and not own),
        *(options.format is not None, not options.stream, options.mode is not None, bool(options.extra)),
        *(voice.prompt is not None and voice.reference is not None, delivery.speed != 1.0 and not own),
    )
    if any(cannot):
        return None
    from voxcli.protocols.speech_stream import messages  # only such a stream needs them

    clip = voice.prompt.clip if voice.prompt else voice.reference
    fields = {
        "type": messages.CONFIG,
        "model": options.model or (None if own else choose_model(catalog, styled=voice.style is not None)),
        "voice": voice.name,
        "instructions": voice.style,
        "language": delivery.language,
        "response_format": "pcm",
        "stream_audio": True,
        "split_granularity": "sentence" if own else "clause",
        "speed": delivery.speed if own else None,
        "seed": sampling.seed,
        "steps": sampling.steps if own else None,
        "normalize": delivery.normalize or None,
        "markdown": (markdown or None) if own else None,
        "ref_audio": f"data:audio/wav;base64,{b64encode(clip.data).decode()}" if clip else None,
        "ref_text": voice.prompt.transcript if voice.prompt else None,
    }
    return {name: value for name, value in fields.items() if value is not None}
