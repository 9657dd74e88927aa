"""Quasar attention from its differential equation, without the closed form: dS/dt = -k k^T S + k v^T for a time beta, with k
and v constant, is one matrix exponential of [[-k k^T, k v^T], [0, 0]] (architecture 3.5.1). With forgetting: -(k k^T + gamma I).
"""
import torch
from inputs import show, uniform

T, DK, DV = 18, 16, 16


def hold(S, k, v, beta, gamma):
    """S after the flow of one token, [DK, DV]."""
    flow = torch.zeros(DK + DV, DK + DV, dtype=torch.float64)
    flow[:DK, :DK] = -torch.outer(k, k) - gamma * torch.eye(DK, dtype=torch.float64)
    flow[:DK, DK:] = torch.outer(k, v)
    moved = torch.matrix_exp(beta * flow)
    return moved[:DK, :DK] @ S + moved[:DK, DK:]


def run(gamma_high):
    q, k = uniform("q", -1, 1, T, DK), uniform("k", -1, 1, T, DK)
    v, beta, S = uniform("v", -1, 1, T, DV), uniform("beta", 0, 2, T), uniform("state", -0.3, 0.3, DK, DV)
    gamma = uniform("gamma", 0, 1, T) * gamma_high
    out = []
    for t in range(T):
        S = hold(S, k[t], v[t], beta[t], gamma[t])
        out.append(S.T @ q[t])
    return {"out": torch.stack(out), "state": S}


show({"exact": run(0.0), "scalar forgetting": run(0.3)})
