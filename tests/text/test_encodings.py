import random

import pytest

from voxcli.text.encodings import decode_text

CHINESE = "他走进房间，看见桌子上放着一封信。"
TEXTS = [
    (CHINESE, "gb18030", "GB18030"),
    ("从前有座山，山里有座庙，庙里有个老和尚。" * 20, "gb18030", "GB18030"),
    ("從前有個國王，他有三個兒子。", "big5", "Big5"),
    ("吾輩は猫である。名前はまだ無い。", "shift_jis", "Shift JIS"),
    ("吾輩は猫である。名前はまだ無い。", "euc_jp", "EUC-JP"),
    ("吾輩は猫である。名前はまだ無い。", "iso2022_jp", "ISO-2022-JP"),
    ("コーヒーとケーキを、ください。", "shift_jis", "Shift JIS"),
    ("옛날 옛적에 한 소년이 산속에 살고 있었습니다.", "euc_kr", "EUC-KR"),
    ("Мороз и солнце; день чудесный!", "cp1251", "Windows-1251"),
    ("Мороз и солнце; день чудесный!", "koi8_r", "KOI8-R"),
    ("Μια φορά κι έναν καιρό ήταν ένας βασιλιάς.", "cp1253", "Windows-1253"),
    ("Über den Wäldern hörte man schöne Töne.", "latin_1", "Windows-1252"),
    ("Le garçon était très fatigué après l’école.", "cp1252", "Windows-1252"),
    ("Zażółć gęślą jaźń, powiedział ojciec.", "cp1250", "Windows-1250"),
    *((text, codec, "UTF-16") for text in (CHINESE, "Plain words.", "Ünï") for codec in ("utf-16-le", "utf-16-be")),
    *((CHINESE, codec, name) for codec, name in (("utf-8", "UTF-8"), ("utf-16", "UTF-16"), ("utf-32", "UTF-32"))),
    (CHINESE, "utf-8-sig", "UTF-8"),
    ("plain ASCII", "ascii", "UTF-8"),
    ("", "ascii", "UTF-8"),
]


@pytest.mark.parametrize(("text", "codec", "name"), TEXTS)
def test_the_encoding_of_a_text_is_found(text: str, codec: str, name: str) -> None:
    decoded = decode_text(text.encode(codec))
    assert decoded is not None
    assert (decoded.text, decoded.encoding) == (text, name)


@pytest.mark.parametrize(
    "data", [random.Random(1).randbytes(4000), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xfe\x00", b"RIFF\x24\0\0\0WAVE"]
)
def test_bytes_that_are_no_text_are_in_no_encoding(data: bytes) -> None:
    assert decode_text(data) is None
