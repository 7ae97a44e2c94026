"""ZipEnhancer: ModelScope's network for removing noise from speech. A module of its own because it imports torch.

It is called the way the `voxcpm` package calls it. The tests do not run the real network, which is downloaded on first
use.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from modelscope.pipelines import pipeline
from modelscope.utils.constant import Tasks

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.decode import decode
from voxcli.audio.headers import wav_bytes
from voxcli.errors import ModelError

_MODEL = "iic/speech_zipenhancer_ans_multiloss_16k_base"


def zipenhanced(chunk: AudioChunk) -> AudioChunk:
    """Return the clip without noise, at the 16 kHz of the network.

    Raises:
        ModelError: the network cannot be downloaded, loaded or run.
    """
    with TemporaryDirectory(prefix="voxcli-") as folder:
        noisy, clean = Path(folder, "noisy.wav"), Path(folder, "clean.wav")
        noisy.write_bytes(wav_bytes(chunk.samples, chunk.sample_rate))
        try:
            pipeline(Tasks.acoustic_noise_suppression, model=_MODEL)(str(noisy), output_path=str(clean))
        except (OSError, RuntimeError, ValueError) as error:
            raise ModelError(
                f"ModelScope's {_MODEL}, which removes the noise, failed: {error}.",
                on_command_line="Leave --denoise out, or try again.",
            ) from error
        return decode(clean.read_bytes(), name="ZipEnhancer's output", max_seconds=chunk.seconds + 1)
