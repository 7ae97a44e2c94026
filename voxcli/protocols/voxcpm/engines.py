"""Engines as our own servers describe them, so that a client splits a text as it would for an engine of its own."""

from typing import Self

from pydantic import BaseModel

from voxcli.synthesis.request import Abilities, Engine, abilities_of


class EngineDescription(BaseModel):
    """What the engine makes use of. A server that tells it takes requests with `as_is`."""

    sampling: bool
    styles: bool
    clips: bool
    bare_clips: bool
    least_syllables: int
    tags: list[str]
    draws_voices: bool

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
            draws_voices=engine.draws_voices,
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
        )
