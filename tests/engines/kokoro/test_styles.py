"""Styles of Kokoro: the numbers of the package that they come from, voice by voice; a damaged file says so."""

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.rebuild_kokoro_styles import NOTICE, compare
from voxcli.engines.kokoro.speakers import VOICES
from voxcli.engines.kokoro.styles import STYLES, VECTORS, WIDTH, Floats, load_styles, write_styles
from voxcli.errors import ModelError


def drawn_style(seed: int) -> Floats:
    """Draw numbers from all of float16, so that every difference of two occurs."""
    bits = np.random.default_rng(seed).integers(0, 1 << 16, (VECTORS, WIDTH), dtype=np.uint16)
    bits[(bits & 0x7C00) == 0x7C00] = 0  # no infinities and no NaN
    bits[0, 0], bits[1, 0] = 0x8000, 0x0000
    return bits.view(np.float16).astype(np.float32)


def test_every_number_is_read_as_it_was_written(tmp_path: Path) -> None:
    styles = {"af_heart": drawn_style(1), "zm_yunxi": drawn_style(2)}
    write_styles(tmp_path / "styles", styles)
    read = load_styles(tmp_path / "styles")
    assert list(read) == list(styles)
    for name, style in styles.items():
        assert read[name].tobytes() == style.tobytes()


def test_the_file_has_every_voice_and_no_two_are_the_same() -> None:
    styles = load_styles()
    assert list(styles) == list(VOICES)
    assert len({style.tobytes() for style in styles.values()}) == len(VOICES)
    for style in styles.values():
        assert style.shape == (VECTORS, WIDTH)
        assert style.dtype == np.float32
        assert 0.05 < np.abs(style).mean() < 0.3
        assert np.abs(style).max() < 4


def test_the_file_stays_small() -> None:
    assert STYLES.stat().st_size < 2_500_000


def test_a_comparison_with_the_package_finds_what_is_different() -> None:
    styles = load_styles()
    files = {name: styles[name].tobytes() for name in VOICES}
    other = {**files, "af_heart": files["af_bella"]}
    assert [line for line in compare(other, STYLES, "") if "numbers" in line] == ["af_heart: other numbers"]
    assert "if_sara: not in the package" in compare({"ef_dora": files["ef_dora"]}, STYLES, "")
    assert "ef_dora: another digest than in NOTICE" in compare(files, STYLES, NOTICE.read_text("utf-8"))


def test_the_notice_has_the_origin_and_the_digest_of_every_voice() -> None:
    text = NOTICE.read_text("utf-8")
    assert "hexgrad" in text
    assert "Apache License" in text
    for name in VOICES:
        assert f"  {name}.bin\n" in text


@pytest.mark.parametrize("kept", [0, 3, 40, 5_000, -10])
def test_a_file_that_was_cut_is_damaged(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "styles"
    path.write_bytes(STYLES.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"styles is damaged or missing.*Reinstall voxcli"):
        _ = load_styles(path)[list(VOICES)[-1]]


def test_a_file_that_is_missing_or_altered_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="damaged or missing"):
        load_styles(tmp_path / "none")
    data = bytearray(STYLES.read_bytes())
    data[-1] ^= 1
    (tmp_path / "altered").write_bytes(data)
    with pytest.raises(ModelError, match="damaged or missing"):
        _ = load_styles(tmp_path / "altered")[list(VOICES)[-1]]
