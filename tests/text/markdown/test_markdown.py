"""What is read of Markdown, by example."""

import pytest

from voxcli.text.markdown.reader import SpeakableMarkdown
from voxcli.text.sentences.splitter import split_sentences

BLOCKS = [
    ("# Title\nText", "Title\n\nText"),
    ("### Closed ###\n#hashtag and #1", "Closed\n\n#hashtag and #1"),
    ("# C#\n#\nText", "C#\n\nText"),
    ("Title\n=====\nText\n---\nMore", "Title\n\nText\n\nMore"),
    ("== no heading ==\n--", "== no heading =="),
    ("wrapped\nlines\n\n\n\nnext", "wrapped lines\n\nnext"),
    ("hard  \nbreak\\\nhere\nsoft", "hard\nbreak\nhere soft"),
    ("中文，\n换行\nEnglish\n中文", "中文，换行 English 中文"),
    ("한국어\n문장", "한국어 문장"),
    ("- one\n* two\n+ three\n• four", "one\n\ntwo\n\nthree\n\nfour"),
    ("- one\n  goes on\n    - nested\n\n      in two paragraphs", "one goes on\n\nnested\n\nin two paragraphs"),
    ("1. First\n2) Second\n10. Tenth", "1. First\n\n2) Second\n\n10. Tenth"),
    ("It happened in\n1990. We left.", "It happened in 1990. We left."),
    ("- [ ] open\n- [x] done\n- [link](u)\n1. [X] too", "open\n\ndone\n\nlink\n\n1. too"),
    ("-5 degrees\n*starred*\n+1", "-5 degrees starred +1"),
    ("> quoted\n> text\nlazily\n\n> > deeper\n\nout", "quoted text lazily\n\ndeeper\n\nout"),
    ("before\n> quoted\n>\n> again", "before\n\nquoted\n\nagain"),
    ("> [!NOTE]\n> Careful.", "Careful."),
    ("one\n\n***\ntwo\n\n- - -\n___\nthree", "one\n\ntwo\n\nthree"),
    ("    not code\n\n        either", "not code\n\neither"),
    ("a\n```python\nx = 1\n\n# no\n```\nb", "a\n\nb"),
    ("~~~\n```\n~~~~\nb\n````\n```\n````\nc", "b\n\nc"),
    ("- item\n  ```sh\n  ls\n  ```\n- next", "item\n\nnext"),
    ("> ```\n> code\n> ```\n> text\n\n> ```\nout", "text\n\nout"),
    ("text\n```\nnever closed", "text"),
    ("```inline``` code", "inline code"),
    ("| A | B |\n|---|:-:|\n| 1 | **2** |\n| x \\| y | |\n\nafter", "A, B\n\n1, 2\n\nx | y\n\nafter"),
    ("a | b\n--- | ---\nc | d\nafter", "a, b\n\nc, d\n\nafter"),
    ("| A |\n|---|\n- item", "A\n\nitem"),
    ("|x| is more", "|x| is more"),
    ("---\ntitle: x\ntags:\n  - y\n---\n# Hello", "Hello"),
    ("---\n\nHello\n---\nWorld", "Hello\n\nWorld"),
    ("text\n\n---\ntitle: x\n---", "text\n\ntitle: x"),
    ('[a]: http://b.c "T"\n[b]: <d>\ntext\n\n[c]: ../e', "text"),
    ("[Bob]: Hello there.\n\n[Eve]: Yes.", "[Bob]: Hello there.\n\n[Eve]: Yes."),
    ("text[^1] here[^note].\n\n[^1]: A note\nthat goes on.\n\nmore", "text here.\n\nmore"),
    ("a\r\nb\r\n\r\nc\rd", "a b\n\nc d"),
]
INLINE = [
    ("**bold** *it* ***both*** __b__ _i_ ~~gone~~", "bold it both b i gone"),
    ("**bold *and* it** and **more**.", "bold and it and more."),
    ("2 * 3 and 2*3*4 and a_b_c and __init__.py", "2 * 3 and 2*3*4 and a_b_c and init.py"),
    ("un*believ*able but 5* hotels and f**** it", "unbelievable but 5* hotels and f**** it"),
    ("all *.py files, ~5 of them, a ~~ b, ____", "all *.py files, ~5 of them, a ~~ b, ____"),
    ("他说**“你好。”**然后**走**了", "他说“你好。”然后走了"),
    ('"**quoted**" (*in brackets*) **`code`**', '"quoted" (in brackets) code'),
    ("`code *x*` and `` a`b `` and `&amp;`", "code *x* and a`b and &amp;"),
    ("a ` alone and **bold**", "a ` alone and bold"),
    ("[text](http://x.y/z) and [two words](<a b> 'title')", "text and two words"),
    ("[a **b** `c`][ref] and [d][] and [wiki](http://w.org/A_(b))", "a b c and d and wiki"),
    ("[![badge](a.svg)](http://b.c) text", "text"),
    ('see ![alt](a.png "t"), or ![alt][ref].', "see, or."),
    ("![](data:image/png;base64," + "iVBORw0KG" * 100 + ") after", ") after"),
    ("[pause 0.5s] [laugh] array[i] [note]: [1] [a (b)]", "[pause 0.5s] [laugh] array[i] [note]: [1] [a (b)]"),
    ("[pause 1s][laugh] [laugh][pause] [open", "[pause 1s][laugh] [laugh][pause] [open"),
    ("[not a link](with some words)", "[not a link](with some words)"),
    ("Wow! [x] !important", "Wow! [x] !important"),
    ("<https://www.example.com/a?b> <me@example.com> <mailto:a@b.c>", "example.com me@example.com a@b.c"),
    ("See https://example.com/a.b?c=(d). (www.foo.org/) http://u@h.i:80!", "See example.com. (foo.org) h.i!"),
    ("看https://example.com/路径。好的 https:// www. xhttp://a", "看example.com路径。好的 https:// www. xhttp://a"),
    ("**https://example.com/a**, what", "example.com, what"),
    ("a<br>b<br/> c <b>bold</b> <a href='x>y' hidden>z</a>", "a b c bold z"),
    ("a <!-- not\n\nread --> b <script>if (a < b) {}</script>c", "a b c"),
    ("if a < b and a <b then x<3 or y <z", "if a < b and a <b then x<3 or y <z"),
    ("<q>hm</q> <!DOCTYPE html>", "hm"),
    ("AT&T &amp; &lt;b&gt; &copy; &#8364; &nope; &", "AT&T & <b> © € &nope; &"),
    (r"\*not\* \# \\ \[x\] \a end\\", r"*not* # \ [x] \a end" + "\\"),
    (
        r"$x_1*y*z$ and $$a_b$$ \(c_d\) \[e_{f}\] $5 and $6 $HOME",
        "x1*y*z and a b c d e f $5 and $6 $HOME",
    ),
    ("Emoji 😀👍🏽 and “quotes” — all of it… stays!", "Emoji 😀👍🏽 and “quotes” — all of it… stays!"),
    ("two  blanks   stay", "two  blanks   stay"),
]


def plain_text(markdown: str) -> str:
    reader = SpeakableMarkdown()
    return reader.feed(markdown) + reader.finish()


@pytest.mark.parametrize(("markdown", "read"), BLOCKS + INLINE)
def test_markdown_is_read_as_a_person_would(markdown: str, read: str) -> None:
    assert plain_text(markdown) == read


ANSWER = """\
Great question! 😀 Here's how to **install** it:

1. Open a terminal and run `pip install voxcli`.
2. Check the [documentation](https://docs.example.com/start?x=1 "Docs") — it's short.

```bash
pip install voxcli  # not read
```

### What next?

* It costs *nothing*, i.e. $0.
* For details see https://example.com/details/page.html.

| Model | Size |
|-------|-----:|
| small | 1 GB |

> **Note:** 2 * 3 = 6 &mdash; always.

Have fun! [pause 1s] Bye.
"""
SAID = [
    "Great question! 😀 ",
    "Here's how to install it:\n\n",
    "1. Open a terminal and run pip install voxcli.\n\n",
    "2. Check the documentation — it's short.\n\n",
    "What next?\n\n",
    "It costs nothing, i.e. $0.\n\n",
    "For details see example.com.\n\n",
    "Model, Size\n\n",
    "small, 1 GB\n\n",
    "Note: 2 * 3 = 6 — always.\n\n",
    "Have fun! ",
    "[pause 1s] Bye.",
]

CHAPTER = """\
---
title: The Fox
chapter: 1
---

# Chapter One

<!-- draft of May -->

It was a *dark* night in the forest of St. Ives, and the fox
could not sleep. "Who is there?" she asked. Nobody
answered.[^1]

***

“Nobody,” said the owl —\\
and flew away.

![The owl](owl.png)

第二天，
狐狸说：“早上好！”

[^1]: An owl did, later.
"""
TOLD = [
    "Chapter One\n\n",
    "It was a dark night in the forest of St. Ives, and the fox could not sleep. ",
    '"Who is there?" she asked. ',
    "Nobody answered.\n\n",
    "“Nobody,” said the owl —\n",
    "and flew away.\n\n",
    "第二天，狐狸说：“早上好！”",
]


@pytest.mark.parametrize(("markdown", "pieces"), [(ANSWER, SAID), (CHAPTER, TOLD)])
def test_an_answer_and_a_chapter_become_sentences(markdown: str, pieces: list[str]) -> None:
    assert split_sentences(plain_text(markdown)) == pieces


@pytest.mark.parametrize(
    ("before", "said", "after", "rest"),
    [
        ("Wow!", "Wow!", "", ""),
        ("**Wow!**", "Wow!", " So", " So"),
        ("use `x`", "use x", " so", " so"),
        ("see [te", "see ", "xt](u).", "text."),
        ("AT&am", "AT", "p;T", "&T"),
        ("# Title", "Title", "\ntext", "\n\ntext"),
        ("1", "1", " apple", " apple"),
        ("42\n\n7", "42\n\n7", ".", "."),
        ("word ", "word ", "\nnext", "next"),
        ("line\n", "line ", "next", "next"),
        ("中文\n", "中文", "中文", "中文"),
        ("```\ncode", "", "\n```\ntext", "text"),
        ("| a | b |", "", "\ntext", "a, b\n\ntext"),
        ("- ", "", "item", "item"),
        ("", "", "text", "text"),
    ],
)
def test_a_pause_gives_out_all_but_a_construct_that_is_open(before: str, said: str, after: str, rest: str) -> None:
    markdown = SpeakableMarkdown()
    assert markdown.feed(before) + markdown.flush() == said
    assert markdown.feed(after) + markdown.finish() == rest


def test_the_end_of_a_block_can_be_asked_for() -> None:
    markdown = SpeakableMarkdown()
    ends = []
    for text in ["", "One", "\n", "\n", "```\n", "code", "\n```\n", "two"]:
        markdown.feed(text)
        ends.append(markdown.at_block_end)
    assert ends == [False, False, False, True, True, True, True, False]
