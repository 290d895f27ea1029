"""Chunks tile a recording, and windows lie inside them."""

from itertools import pairwise

import numpy as np
import pytest

from affekt.chunks import FRAME, LEVEL, Chunk, chunks, frames, windows
from affekt.recognizer import CHUNK, MARGIN
from media import noise, silent_blocks


def planned(n_samples: int, margin: int) -> list[Chunk]:
    return list(chunks(silent_blocks(n_samples), CHUNK, margin))


CORE = CHUNK - 2 * MARGIN
SIZES = [1, 1_601, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CORE, 2 * CORE + MARGIN, 2 * CORE + MARGIN + 1]


@pytest.mark.parametrize("n_samples", [*SIZES, 3 * CORE + 7, 5_000_003])
@pytest.mark.parametrize("margin", [MARGIN, 80_000])
def test_chunks_tile_the_recording_and_never_exceed_the_encoder(
    n_samples: int, margin: int
) -> None:
    found = planned(n_samples, margin)
    assert found[0].begin == 0
    assert found[-1].end == n_samples
    assert [c.last for c in found] == [False] * (len(found) - 1) + [True]
    for before, after in pairwise(found):
        assert before.end == after.begin
        assert before.end % LEVEL == 0
    for c in found:
        assert c.offset % FRAME == 0
        assert c.waveform.size <= CHUNK
        assert c.offset == max(0, c.begin - margin) or c.begin == 0
        assert c.offset + c.waveform.size >= min(n_samples, c.end + (0 if c.last else margin))
    if n_samples > CHUNK:
        assert min(c.end - c.begin for c in found) >= (CHUNK - 2 * margin) // 3


def test_chunks_hold_the_samples_of_their_place() -> None:
    x = noise(95.3)
    for c in chunks(iter(np.array_split(x, 17)), CHUNK, MARGIN):
        np.testing.assert_array_equal(c.waveform, x[c.offset : c.offset + c.waveform.size])


@pytest.mark.parametrize("n_samples", [40_000, CHUNK, CHUNK + 7, 3 * CORE, 2_000_003])
@pytest.mark.parametrize(("window", "hop"), [(32_000, 8_000), (16_000, 16_000), (32_001, 4_999)])
def test_every_step_gets_its_centred_window_once_inside_one_chunk(
    n_samples: int, window: int, hop: int
) -> None:
    found = []
    for c in planned(n_samples, -(-window // (2 * LEVEL)) * LEVEL):
        part = windows(c, window, hop)
        assert all(c.offset <= a < b <= c.offset + c.waveform.size for a, b in part)
        found += part
    n_steps = -(-n_samples // hop)
    centres = [i * hop + hop // 2 for i in range(n_steps)]
    expected = [
        (max(0, c - window // 2), min(n_samples, c + window - window // 2)) for c in centres
    ]
    assert found == expected


def test_frames_cover_their_stretch_and_are_never_empty() -> None:
    found = frames([(0, 1), (0, 320), (319, 321), (640, 960), (9_999, 10_000)], 0, 10)
    assert found.tolist() == [[0, 1], [0, 1], [0, 2], [2, 3], [9, 10]]
    assert frames([(3_200, 6_400)], 3_200, 100).tolist() == [[0, 10]]
