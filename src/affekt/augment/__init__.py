"""Random changes for training, drawn anew each time: of waveforms and of spectrograms.

>>> import numpy as np
>>> clip = np.sin(np.arange(16_000, dtype=np.float32) / 20)
>>> augment(clip, np.random.default_rng(0), BEYOND).shape
(16000,)
"""

from affekt.augment.chain import BEYOND as BEYOND
from affekt.augment.chain import CHANCE as CHANCE
from affekt.augment.chain import OPERATIONS as OPERATIONS
from affekt.augment.chain import PAPER as PAPER
from affekt.augment.chain import augment as augment
from affekt.augment.channels import codec as codec
from affekt.augment.channels import room as room
from affekt.augment.channels import telephone as telephone
from affekt.augment.spectrograms import CROPPED_FRAMES as CROPPED_FRAMES
from affekt.augment.spectrograms import MASKED_FRAMES as MASKED_FRAMES
from affekt.augment.spectrograms import MASKED_MELS as MASKED_MELS
from affekt.augment.spectrograms import SILENCE as SILENCE
from affekt.augment.spectrograms import crop as crop
from affekt.augment.spectrograms import dusha as dusha
from affekt.augment.spectrograms import mask_frequencies as mask_frequencies
from affekt.augment.spectrograms import mask_time as mask_time
from affekt.augment.spectrograms import shift_mels as shift_mels
from affekt.augment.spectrograms import spec_augment as spec_augment
from affekt.augment.spectrograms import spectrogram_noise as spectrogram_noise
from affekt.augment.spectrograms import stretch_time as stretch_time
from affekt.augment.spectrograms import window as window
from affekt.augment.waveforms import echo as echo
from affekt.augment.waveforms import equalisation as equalisation
from affekt.augment.waveforms import gain as gain
from affekt.augment.waveforms import noise as noise
from affekt.augment.waveforms import polarity as polarity
from affekt.augment.waveforms import resampling as resampling
from affekt.augment.waveforms import reversal as reversal
from affekt.augment.waveforms import roll as roll
from affekt.augment.waveforms import speed as speed
