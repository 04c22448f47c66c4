"""DeltaProduct: several steps of the delta rule for each token.

Owns the number of steps, `householders`: the transition is a_t times a product of as many (I - beta k kᵀ), so that one
token can permute several things. Source: Siems et al., DeltaProduct, arXiv:2502.10297, section 3 (the gated form).
State: as in `delta_net`; `conv` is as wide as one query and all keys and values of a token.
"""

from typing_extensions import override

from agentflow.recurrent.mixers.gated_delta_net import GatedDeltaNet


class DeltaProduct(GatedDeltaNet):
    """Gated DeltaNet with a key, a value and a beta for each step."""

    @override
    def steps_per_token(self) -> int:
        return self.config.householders
