"""The languages of GPT-SoVITS, and ours.

Of two codes for a language, such as "zh" and "all_zh", the second leaves no room for another one between.
"""

import re

from voxcli.errors import RequestError

CODES = (
    *("auto", "auto_yue", "en", "zh", "ja", "yue", "ko"),
    *("all_zh", "all_ja", "all_yue", "all_ko"),
)
"""What its models from v2 on understand."""
_AUTO = "auto"
_OTHER_NAMES = {"cmn": "zh"}


def to_code(language: str | None) -> str:
    """Return the code of a language, such as "zh" for "zh-CN". One that is a code already stays.

    Raises:
        RequestError: GPT-SoVITS does not speak it.
    """
    if language is None:
        return _AUTO
    written = language.strip().lower()
    if written in CODES:
        return written
    primary = re.split("[-_]", written)[0]
    code = _OTHER_NAMES.get(primary, primary)
    if code not in CODES or code == _AUTO:
        raise RequestError(
            f"GPT-SoVITS does not speak {language!r}. Choose one of {', '.join(CODES)}, or leave out --language."
        )
    return code


def from_code(code: str) -> str | None:
    """Return the language behind one of `CODES`; None leaves it to the text."""
    if code == _AUTO:
        return None
    return code.removeprefix("all_").removeprefix("auto_")
