"""Models: MODELS maps a name to (its configuration's dataclass, its class).

Every network is called as `forward(x, mask) -> logits`, mask True = valid. `forest` and `dummy`
are no networks: they have `fit(features, labels)` and `predict(features)`, and no checkpoint
holds them. None of them all loads data, logs, or knows a label's name.
"""

from typing import Any

from affekt.models.alexnet_attention import AlexNetAttention, AlexNetAttentionConfig
from affekt.models.blstm import Blstm, BlstmConfig
from affekt.models.dummy import Dummy, DummyConfig
from affekt.models.forest import Forest, ForestConfig
from affekt.models.heads import LinearHead, LinearHeadConfig
from affekt.models.mobilenet_attention import MobileNetAttention, MobileNetAttentionConfig
from affekt.models.multiscale import MultiScale, MultiScaleConfig
from affekt.models.probed_blstm import ProbedBlstm, ProbedBlstmConfig
from affekt.models.pyresnet import PyResNet, PyResNetConfig
from affekt.models.resnet import ResNet, ResNetConfig
from affekt.models.vgg import Vgg, VggConfig
from affekt.models.whisper_probe import WhisperProbe, WhisperProbeConfig
from affekt.models.whisper_tuned import WhisperTuned, WhisperTunedConfig

MODELS: dict[str, tuple[type[Any], type[Any]]] = {
    "linear_head": (LinearHeadConfig, LinearHead),
    "whisper_probe": (WhisperProbeConfig, WhisperProbe),
    "whisper_tuned": (WhisperTunedConfig, WhisperTuned),
    "mobilenet_attention": (MobileNetAttentionConfig, MobileNetAttention),
    "vgg": (VggConfig, Vgg),
    "resnet": (ResNetConfig, ResNet),
    "pyresnet": (PyResNetConfig, PyResNet),
    "alexnet_attention": (AlexNetAttentionConfig, AlexNetAttention),
    "multiscale": (MultiScaleConfig, MultiScale),
    "blstm": (BlstmConfig, Blstm),
    "probed_blstm": (ProbedBlstmConfig, ProbedBlstm),
    "forest": (ForestConfig, Forest),
    "dummy": (DummyConfig, Dummy),
}

__all__ = [
    "MODELS",
    "AlexNetAttention",
    "AlexNetAttentionConfig",
    "Blstm",
    "BlstmConfig",
    "Dummy",
    "DummyConfig",
    "Forest",
    "ForestConfig",
    "LinearHead",
    "LinearHeadConfig",
    "MobileNetAttention",
    "MobileNetAttentionConfig",
    "MultiScale",
    "MultiScaleConfig",
    "ProbedBlstm",
    "ProbedBlstmConfig",
    "PyResNet",
    "PyResNetConfig",
    "ResNet",
    "ResNetConfig",
    "Vgg",
    "VggConfig",
    "WhisperProbe",
    "WhisperProbeConfig",
    "WhisperTuned",
    "WhisperTunedConfig",
]
