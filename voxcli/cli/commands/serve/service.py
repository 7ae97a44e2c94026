"""Service of a model, a server or the built-in voice: for `voxcli serve`, and for `voxcli mcp`."""

from functools import partial
from pathlib import Path

from voxcli.cli.commands.chosen import engine_name, open_chosen_engine
from voxcli.cli.commands.voice_choice import why_reserved
from voxcli.cli.settings.files import model_library
from voxcli.engines import BUILTIN_MODEL, KOKORO_MODEL
from voxcli.engines.kokoro.speakers import VOICES as KOKORO_VOICES
from voxcli.engines.settings import EngineSettings
from voxcli.models.kokoro import load_kokoro
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.synthesis.loading import OnLoading, ignore_loading
from voxcli.voices import VoiceLibrary
from voxcli.voices.named import find_named

GATEWAY = "gateway"
"""Model name that clients see when another server speaks. Its address is not disclosed."""


def new_service(settings: ServerSettings, engine: EngineSettings, on_loading: OnLoading = ignore_loading) -> Service:
    """Build the service. Raises NotFound if the model is not installed, even if it is to be loaded later."""
    assert settings.voices
    voices = VoiceLibrary(settings.voices)
    if engine.remote:
        models = ModelLifecycle(engine.model or GATEWAY, partial(open_chosen_engine, engine), settings, samples=False)
        known = partial(_knows_remote_voice, models)
        return Service(settings, voices, models, knows_voice=known, why_reserved=why_reserved, probe=None)
    name = engine_name(engine)
    if name == BUILTIN_MODEL:
        models = ModelLifecycle(name, partial(open_chosen_engine, engine), settings, samples=False)
        return Service(settings, voices, models, knows_voice=_knows_builtin_voice, why_reserved=why_reserved)
    if name == KOKORO_MODEL:
        load_kokoro(model_library())
        models = ModelLifecycle(name, partial(open_chosen_engine, engine, settings.slots), settings, samples=False)
        return Service(settings, voices, models, knows_voice=_knows_kokoro_voice, why_reserved=why_reserved)
    model_library().load(name)
    load = partial(open_chosen_engine, engine, settings.slots, on_loading=on_loading)
    models = ModelLifecycle(Path(name).name, load, settings)
    return Service(
        settings, voices, models, knows_voice=lambda name: find_named(name) is not None, why_reserved=why_reserved
    )


def _knows_builtin_voice(name: str) -> bool:
    from voxcli.engines.espeak.languages import knows_voice
    from voxcli.engines.espeak.library import load_espeak

    return knows_voice(name, load_espeak())


def _knows_kokoro_voice(name: str) -> bool:
    return name.strip().lower() in KOKORO_VOICES or find_named(name) is not None


def _knows_remote_voice(models: ModelLifecycle, name: str) -> bool:
    from voxcli.engines.remote.balanced import BalancedEngine
    from voxcli.engines.remote.engine import RemoteEngine

    engine = models.engine
    if isinstance(engine, RemoteEngine | BalancedEngine):
        return engine.knows_voice(name)
    return True  # checked when it is requested
