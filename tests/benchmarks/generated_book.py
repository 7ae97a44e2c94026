"""A book of generated text, in the manner of old novels: as long as asked for, and the same for the same seed.

python tests/benchmarks/generated_book.py novel.epub --words 60000 --chapters 20
"""

import argparse
import random
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.documents.made import PNG, epub

PEOPLE = ["Mrs. Ashworth", "the captain", "young Edmund", "the old keeper", "Miss Harrow", "the doctor", "my uncle"]
PLACES = ["the harbour", "the orchard", "the long gallery", "the mill", "the churchyard", "the moor", "the coach"]
DEEDS = [
    "had not spoken of it for years",
    "walked slowly towards {place}",
    "laid the letter upon the table",
    "looked out at the rain over {place}",
    "would hear no more of the matter",
    "remembered the summer at {place}",
    "counted the coins twice, and then a third time",
]
LINKS = ["and yet", "for", "while", "because", "although", "so that", "until"]
SPOKEN = [
    "You cannot mean it",
    "I shall go tomorrow",
    "It was never found",
    "Who told you so",
    "Let us wait for the tide",
]
OPENINGS = [
    "In the evening",
    "On the third day",
    "At half past seven",
    "Before the winter of 1847",
    "As the bells rang",
]
TITLES = ["The Letter", "A Storm", "What the Keeper Saw", "The Road to the Mill", "An Old Debt", "The Return"]


def sentence(draw: random.Random) -> str:
    def clause() -> str:
        return f"{draw.choice(PEOPLE)} {draw.choice(DEEDS).format(place=draw.choice(PLACES))}"

    kind = draw.random()
    if kind < 0.2:
        return f"“{draw.choice(SPOKEN)},” said {draw.choice(PEOPLE)}, “{draw.choice(LINKS)} {clause()}.”"
    start = f"{draw.choice(OPENINGS)}, {clause()}" if kind < 0.6 else clause()
    text = f"{start}, {draw.choice(LINKS)} {clause()}" if draw.random() < 0.6 else start
    return f"{text[0].upper()}{text[1:]}."


def chapters(words: int, count: int, seed: int = 1) -> Iterator[tuple[str, list[str]]]:
    """Yield titles and paragraphs, of at least so many words together."""
    draw = random.Random(seed)
    for number in range(1, count + 1):
        title = f"Chapter {number}. {TITLES[number % len(TITLES)]}"
        paragraphs: list[str] = []
        while sum(len(paragraph.split()) for paragraph in paragraphs) * count < words:
            paragraphs.append(" ".join(sentence(draw) for _ in range(draw.randint(2, 7))))
        yield title, paragraphs


def generated_epub(words: int, count: int, seed: int = 1) -> bytes:
    """Return a book with a table of contents and a cover."""
    pages, contents = {}, []
    for number, (title, paragraphs) in enumerate(chapters(words, count, seed), start=1):
        name = f"chapter{number}.xhtml"
        pages[name] = f"<h2>{title}</h2>" + "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
        contents.append((title, name))
    about = (
        "<dc:title>The Keeper of the Mill</dc:title><dc:creator>A Generator</dc:creator><dc:language>en</dc:language>"
    )
    return epub(pages, toc=contents, metadata=about, cover=PNG)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--words", type=int, default=60_000)
    parser.add_argument("--chapters", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.file.write_bytes(generated_epub(options.words, options.chapters, options.seed))
