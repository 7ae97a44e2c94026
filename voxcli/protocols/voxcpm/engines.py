"""Engines as our own servers describe them, so that a client splits a text as it would for an engine of its own."""

from contextlib import suppress
from typing import Any, Self

from pydantic import BaseModel

from voxcli.synthesis.identity import HasIdentity, ModelIdentity
from voxcli.synthesis.request import Abilities, Engine, HasSampleRate, abilities_of
from voxcli.text.phonemes import Alphabet


class EngineDescription(BaseModel):
    """What the engine makes use of. A server that tells it takes requests with `as_is`."""

    sampling: bool
    styles: bool
    clips: bool
    bare_clips: bool
    least_syllables: int
    tags: list[str]
    phonemes: list[Alphabet] = []
    draws_voices: bool
    identity: dict[str, Any] | None = None
    """Which model it runs, as `ModelIdentity.to_dict` returns it; None if it does not tell."""
    sample_rate: int | None = None
    """Hz; None if it is not known before it speaks."""

    @classmethod
    def of(cls, engine: Engine) -> Self:
        """Describe an engine."""
        abilities = abilities_of(engine)
        return cls(
            sampling=abilities.sampling,
            styles=abilities.styles,
            clips=abilities.clips,
            bare_clips=abilities.bare_clips,
            least_syllables=abilities.least_syllables,
            tags=sorted(abilities.tags),
            phonemes=sorted(abilities.phonemes),
            draws_voices=engine.draws_voices,
            identity=engine.identity.to_dict() if isinstance(engine, HasIdentity) else None,
            sample_rate=engine.sample_rate if isinstance(engine, HasSampleRate) else None,
        )

    def to_abilities(self) -> Abilities:
        """Return them as an engine has them."""
        return Abilities(
            sampling=self.sampling,
            styles=self.styles,
            clips=self.clips,
            bare_clips=self.bare_clips,
            least_syllables=self.least_syllables,
            tags=frozenset(self.tags),
            phonemes=frozenset(self.phonemes),
        )

    def to_identity(self) -> ModelIdentity | None:
        """Return which model it runs; None if it does not tell, or not in a known form."""
        with suppress(ValueError):
            return ModelIdentity.from_dict(self.identity) if self.identity else None
        return None


class ServerState(BaseModel):
    """What a client reads of the answer to `GET /health`."""

    status: str = "healthy"
    model: str | None = None
    model_loaded: bool = False
    slots: int | None = None
    """Streams that run at once."""
    engine: EngineDescription | None = None
    takes_hashes: bool = False
    """Whether a recording that the server has may be named by its hash."""
