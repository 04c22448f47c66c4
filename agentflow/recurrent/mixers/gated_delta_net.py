"""Gated DeltaNet: the delta rule on a state that fades.

Owns nothing but the choice a_t = exp(-rate · softplus(pace(x_t))) and a SiLU gate on the output. Source: Yang et al.,
Gated Delta Networks, arXiv:2412.06464, equation 10. State as in `delta_net`.
"""

from typing import ClassVar

from agentflow.recurrent.mixers.delta_net import DeltaNet


class GatedDeltaNet(DeltaNet):
    """DeltaNet with a decay per head and token."""

    forgets: ClassVar[bool] = True
