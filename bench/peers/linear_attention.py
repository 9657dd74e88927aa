"""Quasar attention and gated linear attention in PyTorch, in chunks: everything that does not depend on the state is done for
all heads and chunks at once, only the state goes from chunk to chunk. Formulas: architecture 3.5.5 and 3.6.
"""
import torch

CHUNK = 64


def _chunked(x):
    """[B, T, H, ...] -> [B H, chunks, CHUNK, ...]; T is a multiple of CHUNK."""
    B, T, H = x.shape[:3]
    return x.transpose(1, 2).reshape(B * H, T // CHUNK, CHUNK, *x.shape[3:])


def _flat(x, B):
    """[B H, chunks, CHUNK, dv] -> [B, T, H, dv]"""
    BH, N, C, dv = x.shape
    return x.reshape(B, BH // B, N * C, dv).transpose(1, 2)


def _within_delta(q, k, v, alpha):
    """What each chunk asks of the state, the values it would write to an empty one, its scores and keys."""
    dk = k.shape[-1]
    q, k, v, alpha = (_chunked(x) for x in (q, k, v, alpha))
    erase = k * alpha.unsqueeze(-1)
    # The diagonal of the triangle is taken as one, so the identity is never added.
    triangle = (erase @ k.transpose(-1, -2)).tril(-1)
    right = torch.cat([erase, v * alpha.unsqueeze(-1)], -1)
    solved = torch.linalg.solve_triangular(triangle, right, upper=False, unitriangular=True)
    scores = (q @ k.transpose(-1, -2)).tril()
    return -solved[..., :dk], solved[..., dk:], scores, q, k.transpose(-1, -2)


def _across_delta(asking, values, scores, q, keys, state):
    answers = []
    for a, v, s, x, k in zip(*(t.unbind(1) for t in (asking, values, scores, q, keys))):
        pseudo = torch.baddbmm(v, a, state)
        answers.append(torch.baddbmm(torch.bmm(x, state), s, pseudo))
        state = torch.baddbmm(state, k, pseudo)
    return torch.stack(answers, 1)


def _within_gla(q, k, v, log_decay):
    q, k, v, g = (_chunked(x) for x in (q, k, v, log_decay))
    G = g.cumsum(-2)
    last = G[..., -1:, :]
    middle = last / 2
    scores = ((q * (G - middle).exp()) @ (k * (middle - G).exp()).transpose(-1, -2)).tril()
    written = (k * (last - G).exp()).transpose(-1, -2) @ v
    return scores @ v, q * G.exp(), last.transpose(-1, -2).exp(), written


def _across_gla(inside, asking, kept, written, state):
    states = []
    for keep, write in zip(kept.unbind(1), written.unbind(1)):
        states.append(state)
        state = torch.addcmul(write, keep, state)
    return inside + asking @ torch.stack(states, 1)


def delta_rule(q, k, v, alpha, state, within=_within_delta):
    """S += alpha k (v - S'k)', o = S'q. q, k [B,T,H,dk], v [B,T,H,dv], alpha [B,T,H], state [B H,dk,dv] -> [B,T,H,dv]."""
    return _flat(_across_delta(*within(q, k, v, alpha), state), q.shape[0])


def gla(q, k, v, log_decay, state, within=_within_gla):
    """S = diag(e^g) S + k v', o = S'q. q, k, g [B,T,H,dk], v [B,T,H,dv], state [B H,dk,dv] -> [B,T,H,dv].

    Within a chunk, decays are split at the middle of their sum: right while a chunk decays by less than about e^-160, which
    is faster than the guarded sub-blocks that our kernel uses.
    """
    return _flat(_across_gla(*within(q, k, v, log_decay), state), q.shape[0])


def compiled(rule):
    """The rule with its work inside chunks compiled. The walk over chunks is products of whole matrices, which a compiler
    hands to the same library; compiling 128 chunks of it, forward and backward, takes minutes and gains nothing.
    """
    within = torch.compile({delta_rule: _within_delta, gla: _within_gla}[rule], dynamic=False)
    return lambda *inputs: rule(*inputs, within)
