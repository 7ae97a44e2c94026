"""Headers of safetensors files."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from voxcli.errors import ModelError
from voxcli.models.checkpoint import read_index


def test_it_tells_what_the_library_of_the_format_tells(checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    index = read_index(path)
    with safe_open(path, framework="numpy") as file:
        names = file.keys()
        tensors = [file.get_slice(name) for name in names]
        shapes = [(tensor.get_dtype(), tensor.get_shape()) for tensor in tensors]
    assert set(index.numbers) == {dtype for dtype, _ in shapes}
    assert index.file_size == path.stat().st_size
    assert 2 * index.numbers.total() < index.file_size < 2.1 * index.numbers.total() + 100_000


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "x", "__metadata__"]), inner, max_size=3)
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=40) | JSON.map(lambda document: json.dumps(document).encode()))
def test_whatever_stands_there_it_is_read_or_refused_in_words(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.safetensors"
    for content in (data, len(data).to_bytes(8, "little") + data):
        path.write_bytes(content)
        with contextlib.suppress(ModelError):
            assert read_index(path).file_size >= 8


def test_a_file_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="damaged"):
        read_index(tmp_path / "x.safetensors")
