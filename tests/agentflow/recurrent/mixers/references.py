"""The recurrences of the papers, one token after another, in float64 and nothing else.

Owns a second way to compute what a mixer computes, from the same weights. Slow on purpose.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, normalize, silu, softplus

from agentflow.recurrent.mixers.config import MixerName
from agentflow.recurrent.mixers.mixer import Mixer


def reference(name: MixerName, mixer: Mixer, x: Tensor) -> Tensor:
    return {
        "min_gru": min_gru,
        "min_lstm": min_lstm,
        "aaren": aaren,
        "gla": gla,
        "delta_net": delta_net,
        "gated_delta_net": delta_net,
        "delta_product": delta_net,
        "rwkv7": rwkv7,
        "mamba2": mamba2,
    }[name](mixer, x)


def positive(x: Tensor) -> Tensor:
    return torch.where(x >= 0, x + 0.5, x.sigmoid())


def min_gru(m: Any, x: Tensor) -> Tensor:
    h, out = x.new_zeros(x.shape[0], m.width), []
    for token in x.unbind(1):
        z, new = m.inputs(token).chunk(2, -1)
        h = (1 - z.sigmoid()) * h + z.sigmoid() * positive(new)
        out.append(m.output(h))
    return torch.stack(out, 1)


def min_lstm(m: Any, x: Tensor) -> Tensor:
    h, out = x.new_zeros(x.shape[0], m.width), []
    for token in x.unbind(1):
        f, i, new = m.inputs(token).chunk(3, -1)
        f, i = f.sigmoid(), i.sigmoid()
        h = f / (f + i) * h + i / (f + i) * positive(new)
        out.append(m.output(h))
    return torch.stack(out, 1)


def aaren(m: Any, x: Tensor) -> Tensor:
    """Softmax attention over the prefix, without any recurrence."""
    heads, out = m.config.heads, []
    key, value = m.inputs(x).chunk(2, -1)
    key, value = key.unflatten(-1, (heads, -1)), value.unflatten(-1, (heads, -1))
    score = torch.einsum("bthd,hd->bth", key, m.query) / m.config.head_width**0.5
    for t in range(x.shape[1]):
        share = score[:, : t + 1].softmax(1)
        out.append(m.output(torch.einsum("bth,bthd->bhd", share, value[:, : t + 1]).flatten(1)))
    return torch.stack(out, 1)


def rms(x: Tensor, weight: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight


def convolved(weight: Tensor, x: Tensor) -> Tensor:
    width = weight.shape[0]
    padded = nn.functional.pad(x.mT, (width - 1, 0))
    kernel = weight.t().unsqueeze(1)
    return silu(nn.functional.conv1d(padded, kernel, groups=x.shape[-1])).mT


def gla(m: Any, x: Tensor) -> Tensor:
    heads, out = m.config.heads, []
    q, k, v, gate = (p.unflatten(-1, (heads, -1)) for p in m.inputs(x).split(m.sizes, -1))
    w = m.decay(x).sigmoid().pow(1 / 16).unflatten(-1, (heads, -1))
    s = x.new_zeros(x.shape[0], heads, m.keys, m.values)
    for t in range(x.shape[1]):
        s = torch.einsum("bhk,bhkv->bhkv", w[:, t], s)
        s = s + torch.einsum("bhk,bhv->bhkv", k[:, t], v[:, t])
        o = torch.einsum("bhk,bhkv->bhv", q[:, t], s) / m.keys**0.5
        out.append(m.output((rms(o, m.norm.weight) * silu(gate[:, t])).flatten(1)))
    return torch.stack(out, 1)


def delta_net(m: Any, x: Tensor) -> Tensor:
    """Multiply the state by whole matrices (I - beta k kᵀ), as the papers write it."""
    heads, width, n = m.config.heads, m.config.head_width, m.steps
    mixed = convolved(m.convolution.weight, m.inputs(x))
    mixed = torch.unflatten(mixed, -1, (1 + 2 * n, heads, width))
    q, k, v = mixed[:, :, 0], mixed[:, :, 1 : 1 + n], mixed[:, :, 1 + n :]
    q, k = normalize(q, dim=-1), normalize(k, dim=-1)
    beta = m.config.beta_max * m.beta(x).sigmoid().unflatten(-1, (n, heads))
    s, eye, out = x.new_zeros(x.shape[0], heads, width, width), torch.eye(width).to(x), []
    for t in range(x.shape[1]):
        if m.forgets:
            pace = softplus(m.pace(x[:, t]) + m.pace_bias)
            s = (-m.log_rate.exp() * pace).exp()[..., None, None] * s
        for j in range(n):
            b, key = beta[:, t, j, :, None, None], k[:, t, j]
            s = (eye - b * torch.einsum("bhi,bhj->bhij", key, key)) @ s
            s = s + b * torch.einsum("bhk,bhv->bhkv", key, v[:, t, j])
        o = rms(torch.einsum("bhk,bhkv->bhv", q[:, t], s) / width**0.5, m.norm.weight).flatten(1)
        out.append(m.output(o * silu(m.gate(x[:, t])) if m.forgets else o))
    return torch.stack(out, 1)


def mamba2(m: Any, x: Tensor) -> Tensor:
    heads, size = m.config.heads, m.config.state_size
    inner = 2 * m.config.d_model
    gate, mixed, dt = m.inputs(x).split(m.sizes, -1)
    mixed = convolved(m.convolution.weight, mixed)
    value, b, c = torch.split(mixed, [inner, size, size], -1)
    value, dt = torch.unflatten(value, -1, (heads, -1)), softplus(dt + m.pace_bias)
    s, out = x.new_zeros(x.shape[0], heads, size, inner // heads), []
    for t in range(x.shape[1]):
        s = (-m.log_rate.exp() * dt[:, t]).exp()[..., None, None] * s
        s = s + torch.einsum("bh,bk,bhv->bhkv", dt[:, t], b[:, t], value[:, t])
        y = torch.einsum("bk,bhkv->bhv", c[:, t], s) + m.skip[:, None] * value[:, t]
        out.append(m.output(rms(y.flatten(1) * silu(gate[:, t]), m.norm.weight)))
    return torch.stack(out, 1)


def rwkv7(m: Any, x: Tensor) -> Tensor:
    """Keep the state as the paper does, values first: S = S (diag(w) - κᵀ (a ⊙ κ)) + vᵀ k."""
    heads, width = m.config.heads, m.config.head_width
    s, shift, out = x.new_zeros(x.shape[0], heads, width, width), torch.zeros_like(x[:, 0]), []
    for token in x.unbind(1):
        xr, xw, xk, xv, xa, xg = (token + (shift - token) * mu for mu in m.mix)
        low = m.decay.up(m.decay.down(xw).tanh()) + m.decay.bias
        w = (-(-0.5 * torch.ones_like(low)).exp() * low.sigmoid()).exp()
        a = (m.rate.up(m.rate.down(xa)) + m.rate.bias).sigmoid()
        r, k, v = m.receptance(xr), m.key(xk), m.value(xv)
        kappa = k * m.removal
        k = k * (1 + (a - 1) * m.replacement)
        parts = (p.unflatten(-1, (heads, width)) for p in (r, w, k, v, a, kappa, m.bonus))
        r, w, k, v, a, kappa, bonus = parts
        kappa = normalize(kappa, dim=-1)
        change = torch.diag_embed(w) - torch.einsum("bhi,bhj->bhij", kappa, a * kappa)
        s = s @ change + torch.einsum("bhv,bhk->bhvk", v, k)
        o = layer_norm((s @ r.unsqueeze(-1)).squeeze(-1), (width,), eps=64e-5).flatten(1)
        o = o * m.norm[0] + m.norm[1]
        o = o + ((r * k * bonus).sum(-1, keepdim=True) * v).flatten(1)
        out.append(m.output(o * m.gate_up(m.gate_down(xg).sigmoid())))
        shift = token
    return torch.stack(out, 1)
