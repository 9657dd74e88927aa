"""The naive functions of flash-linear-attention (fla-core, MIT) on small inputs, with the gradients that autograd finds.

They compute in float32; here every float32 that they ask for is a float64, so that the vectors are good to all digits printed.
"""
import torch

torch.float = torch.float32 = torch.float64
torch.Tensor.float = torch.Tensor.double

from fla.ops.delta_rule.naive import delta_rule_recurrence  # noqa: E402
from fla.ops.gated_delta_rule.naive import naive_recurrent_gated_delta_rule  # noqa: E402
from fla.ops.gla.naive import naive_recurrent_gla  # noqa: E402
from fla.ops.gsa.naive import naive_recurrent_gsa  # noqa: E402
from fla.ops.kda.naive import naive_recurrent_kda  # noqa: E402
from fla.ops.simple_gla.naive import naive_recurrent_simple_gla  # noqa: E402
from inputs import show, uniform  # noqa: E402

B, T, H, DK, DV, M = 1, 18, 2, 16, 16, 16


def head_first(x):
    return x.transpose(1, 2)


def delta(q, k, v, beta, state):
    o, S = delta_rule_recurrence(head_first(q), head_first(k), head_first(v), head_first(beta), state)
    return head_first(o), S


def gated_delta(q, k, v, beta, g, state):
    return naive_recurrent_gated_delta_rule(q, k, v, beta, g, initial_state=state, output_final_state=True)


def kda(q, k, v, beta, g, state):
    return naive_recurrent_kda(q, k, v, g, beta, initial_state=state, output_final_state=True)


def gla(q, k, v, g, state):
    return naive_recurrent_gla(q, k, v, g, initial_state=state, output_final_state=True)


def simple_gla(q, k, v, g, state):
    return naive_recurrent_simple_gla(q, k, v, g, initial_state=state)


def gsa(q, k, v, g, keys, values):
    """Raven's form: what is written is what was forgotten, and the score is not scaled."""
    o, (hk, hv) = naive_recurrent_gsa(
        q, k, v, -torch.expm1(g), g, scale=1.0, initial_state=(keys.transpose(2, 3), values), output_final_state=True
    )
    return o, hk.transpose(2, 3), hv


def inputs(*names):
    """Leaves by name. Keys of the delta rules have length 1, decays are logarithms."""
    shapes = {
        "q": (-1, 1, B, T, H, DK), "k": (-1, 1, B, T, H, DK), "v": (-1, 1, B, T, H, DV), "beta": (0, 1, B, T, H),
        "g": (-0.5, 0, B, T, H), "gk": (-0.5, 0, B, T, H, DK), "gm": (-0.5, 0, B, T, H, M),
        "state": (-0.3, 0.3, B, H, DK, DV), "keys": (-0.3, 0.3, B, H, M, DK), "values": (-0.3, 0.3, B, H, M, DV),
    }
    return [uniform(name, *shapes[name]).requires_grad_() for name in names]


CASES = {
    "delta": (delta, ["q", "k", "v", "beta", "state"]),
    "gated delta": (gated_delta, ["q", "k", "v", "beta", "g", "state"]),
    "kda": (kda, ["q", "k", "v", "beta", "gk", "state"]),
    "gla": (gla, ["q", "k", "v", "gk", "state"]),
    "simple gla": (simple_gla, ["q", "k", "v", "g", "state"]),
    "gsa": (gsa, ["q", "k", "v", "gm", "keys", "values"]),
}


def run(function, names):
    leaves = inputs(*names)
    given = [torch.nn.functional.normalize(x, dim=-1) if name == "k" else x for name, x in zip(names, leaves)]
    out, *states = function(*given)
    loss = sum((x * uniform(f"d{i}", -1, 1, *x.shape)).sum() for i, x in enumerate([out, *states]))
    found = torch.autograd.grad(loss, leaves)
    result = {"out": out, **{f"state{i}": s for i, s in enumerate(states)}}
    return {**result, **{f"d{name}": d for name, d in zip(names, found)}}


show({case: run(*how) for case, how in CASES.items()})
