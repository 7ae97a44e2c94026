"""MP3, ADTS and ID3 headers.

Sources: ISO/IEC 11172-3 §2.4.2.3 and 13818-3 for MP3, with the usual extension to MPEG 2.5; ISO/IEC 14496-3 §1.A.2 for
ADTS; id3.org, "ID3 tag version 2.4.0 - Main Structure" §3.1.
"""

_KBITS_OF_MPEG_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_OF_MPEG_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_OF_MPEG_1 = (44100, 48000, 32000)
_RATE_DIVISORS = {3: 1, 2: 2, 0: 4}
"""By the version bits: MPEG 1, 2 and 2.5."""


def mp3_length(start: bytes) -> int:
    """Return the length in bytes of the Layer III frame that starts here, or 0 if none does."""
    if len(start) < 4 or start[0] != 0xFF or start[1] & 0xE6 != 0xE2:
        return 0
    bit_rate, rate, padding = start[2] >> 4, start[2] >> 2 & 3, start[2] >> 1 & 1
    divisor = _RATE_DIVISORS.get(start[1] >> 3 & 3)
    if divisor is None or not 1 <= bit_rate <= 14 or rate == 3:
        return 0
    kbits = (_KBITS_OF_MPEG_1 if divisor == 1 else _KBITS_OF_MPEG_2)[bit_rate - 1]
    return mp3_samples(start) // 8 * kbits * 1000 * divisor // _RATES_OF_MPEG_1[rate] + padding


def mp3_samples(frame: bytes) -> int:
    """Return how many samples a Layer III frame holds."""
    return 1152 if frame[1] & 0x08 else 576


def adts_length(start: bytes) -> int:
    """Return the length in bytes of the AAC frame that starts here, or 0 if none does."""
    if len(start) < 7 or start[0] != 0xFF or start[1] & 0xF6 != 0xF0 or start[2] >> 2 & 15 > 12:
        return 0
    length = (start[3] & 3) << 11 | start[4] << 3 | start[5] >> 5
    return length if length > 7 else 0


def id3_length(start: bytes) -> int:
    """Return the length in bytes of the ID3v2 tag that starts here, or 0 if none does."""
    if len(start) < 10 or start[:3] != b"ID3" or start[3] == 0xFF or max(start[6:10]) > 127:
        return 0
    size = start[6] << 21 | start[7] << 14 | start[8] << 7 | start[9]
    footer = 10 if start[5] & 0x10 else 0
    return 10 + size + footer
