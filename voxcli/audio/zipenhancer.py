"""ZipEnhancer, a network that takes noise out of speech, as ModelScope runs it.

It is called the way `voxcpm` does. No test of ours runs the real network, which is downloaded on first use.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from modelscope.pipelines import pipeline
from modelscope.utils.constant import Tasks

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.decode import decode
from voxcli.audio.headers import growing_header
from voxcli.audio.pcm import to_int16
from voxcli.errors import ModelError

_MODEL = "iic/speech_zipenhancer_ans_multiloss_16k_base"


def zipenhanced(chunk: AudioChunk) -> AudioChunk:
    """Return the clip without noise, at the 16 kHz of the network.

    Raises:
        ModelError: the network cannot be downloaded, loaded or run.
    """
    with TemporaryDirectory(prefix="voxcli-") as folder:
        noisy, clean = Path(folder, "noisy.wav"), Path(folder, "clean.wav")
        data = to_int16(chunk.samples)
        noisy.write_bytes(growing_header(chunk.sample_rate, len(data)) + data)
        try:
            pipeline(Tasks.acoustic_noise_suppression, model=_MODEL)(str(noisy), output_path=str(clean))
        except (OSError, RuntimeError, ValueError) as error:
            raise ModelError(f"ModelScope's {_MODEL} failed: {error}. Leave --denoise out, or try again.") from error
        return decode(clean.read_bytes(), name="what ZipEnhancer made", max_seconds=chunk.seconds + 1)
