"""FCN-Attention: AlexNet's convolutions and attention over all cells of their last map.

Zhang et al. 2018, one of LSSED's baselines (spec 2.6). Their code is not public: this is the stack
of Krizhevsky 2014, arXiv:1404.5997, with batch normalisation, not initialised from pictures.
"""

from dataclasses import dataclass

from torch import nn

from affekt.models.convolutions import OverMaps, Replace, check_outputs, keep, start
from affekt.models.pooling import ATTENTION_SCALE, AttentionPooling

STACK = (  # channels, kernel size, padding, and whether the map is halved behind it
    (64, 11, 2, True),
    (192, 5, 2, True),
    (384, 3, 1, False),
    (256, 3, 1, False),
    (256, 3, 1, True),
)
STRIDE = 4  # of the first convolution
CHANNELS = STACK[-1][0]


@dataclass(frozen=True)
class AlexNetAttentionConfig:
    """2,523,588 parameters with 4 outputs; `attention_scale` is the authors' lambda."""

    n_outputs: int
    attention_scale: float = ATTENTION_SCALE

    def __post_init__(self) -> None:
        check_outputs(self.n_outputs)


class AlexNetAttention(OverMaps):
    """(batch, n_mels, time), mask (batch, time) -> (batch, n_outputs); 63 bins and frames or more.

    `embed` gives what the last layer reads, (batch, 256).
    """

    def __init__(self, config: AlexNetAttentionConfig) -> None:
        super().__init__()
        self.config = config
        self.features = alexnet_trunk()
        self.pooling = AttentionPooling(CHANNELS, config.attention_scale)
        self.classifier = nn.Linear(CHANNELS, config.n_outputs)
        start(self)


def alexnet_trunk(replace: Replace = keep, stride: int = STRIDE) -> nn.Sequential:
    """Build the five convolutions and three poolings, without a head.

    Args:
        replace: what stands in place of each convolution, layers 0 to 4.
        stride: of the first convolution.

    Returns:
        (batch, 1, frequency, time) -> (batch, 256, smaller, smaller).
    """
    layers: list[nn.Module] = []
    channels = 1
    for layer, (n_out, kernel, padding, halves) in enumerate(STACK):
        step = 1 if layer else stride
        layers.append(replace(nn.Conv2d(channels, n_out, kernel, step, padding), layer))
        layers += [nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
        if halves:
            layers.append(nn.MaxPool2d(3, stride=2))
        channels = n_out
    return nn.Sequential(*layers)
