"""Networks: MODELS maps a name to (its configuration's dataclass, its module).

Every module is called as `forward(x, mask) -> logits`, mask True = valid; none of them loads
data, logs, or knows a label's name.
"""

from affekt.models.heads import LinearHead, LinearHeadConfig
from affekt.models.whisper_probe import WhisperProbe, WhisperProbeConfig

MODELS = {
    "linear_head": (LinearHeadConfig, LinearHead),
    "whisper_probe": (WhisperProbeConfig, WhisperProbe),
}

__all__ = ["MODELS", "LinearHead", "LinearHeadConfig", "WhisperProbe", "WhisperProbeConfig"]
