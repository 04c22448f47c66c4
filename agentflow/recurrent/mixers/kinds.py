"""Which mixer each name stands for.

Owns the one table; a new mixer is a file, a name in `config` and a line here.
"""

from typing import get_args

from agentflow.recurrent.mixers.aaren import Aaren
from agentflow.recurrent.mixers.config import MixerName
from agentflow.recurrent.mixers.delta_net import DeltaNet
from agentflow.recurrent.mixers.delta_product import DeltaProduct
from agentflow.recurrent.mixers.gated_delta_net import GatedDeltaNet
from agentflow.recurrent.mixers.gla import GLA
from agentflow.recurrent.mixers.gru import GRU
from agentflow.recurrent.mixers.lstm import LSTM
from agentflow.recurrent.mixers.mamba2 import Mamba2
from agentflow.recurrent.mixers.min_gru import MinGRU
from agentflow.recurrent.mixers.min_lstm import MinLSTM
from agentflow.recurrent.mixers.mixer import Mixer
from agentflow.recurrent.mixers.rwkv7 import RWKV7

MIXERS: dict[MixerName, type[Mixer]] = {
    "aaren": Aaren,
    "delta_net": DeltaNet,
    "delta_product": DeltaProduct,
    "gated_delta_net": GatedDeltaNet,
    "gla": GLA,
    "gru": GRU,
    "lstm": LSTM,
    "mamba2": Mamba2,
    "min_gru": MinGRU,
    "min_lstm": MinLSTM,
    "rwkv7": RWKV7,
}

assert set(MIXERS) == set(get_args(MixerName))
