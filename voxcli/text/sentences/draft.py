"""The piece that is being collected, and where it may be cut if it grows too long."""

from voxcli.text.characters import Trait, is_speakable, trait_of


class Draft:
    """Characters that have not been given out yet."""

    def __init__(self) -> None:
        # A list and not a string: it grows by one character at a time, and a run of blanks can be long.
        self.chars: list[str] = []
        self.columns = 0
        """Counted from the first speakable character on, a gap as one."""
        self.speakable = False
        self.clause: int | None = None
        """The last place after a clause mark where it may be cut."""
        self.seam: int | None = None
        """The last place between two words where it may be cut."""

    def append(self, char: str, trait: Trait) -> None:
        self.chars.append(char)
        if self.speakable:
            self.columns += trait.columns if not trait.space else 0
        elif trait.speakable:
            self.speakable = True
            self.columns = trait.columns
            self.clause = self.seam = None

    def cut(self, index: int) -> str:
        """Take out everything before `index`."""
        piece = "".join(self.chars[:index])
        del self.chars[:index]
        self.speakable = is_speakable("".join(self.chars))
        self.columns = sum(trait_of(char).columns for char in self.chars) if self.speakable else 0
        self.clause = self._moved(self.clause, index)
        self.seam = self._moved(self.seam, index)
        return piece

    def _moved(self, place: int | None, index: int) -> int | None:
        if place is None or place <= index or not is_speakable("".join(self.chars[: place - index])):
            return None
        return place - index
