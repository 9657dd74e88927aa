"""Muon as in packages/train/src/optim/muon.ts, in float32: hidden matrices move along their orthogonalised Nesterov momentum,
scaled to the RMS of AdamW's steps. Matrices of one shape go through the iteration together, as batched products.
"""
import torch

A, B, C = 3.4445, -4.775, 2.0315
STEPS, MOMENTUM = 5, 0.95


def orthogonalize(x):
    """x [N, R, C]"""
    x = x / (x.flatten(1).norm(dim=1) + 1e-7)[:, None, None]
    is_tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if is_tall else x
    for _ in range(STEPS):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=B, alpha=C), x, beta=A)
    return x.transpose(1, 2) if is_tall else x


class Muon:
    def __init__(self, matrices, weight_decay):
        """matrices: (parameter, first row, rows), some of them parts of one joined parameter"""
        self.weight_decay, self.orthogonalize = weight_decay, orthogonalize
        self.groups = {}
        for parameter, first, rows in matrices:
            shape = (rows, parameter.shape[1])
            self.groups.setdefault(shape, []).append((parameter, slice(first, first + rows)))
        self.momentum = {shape: torch.zeros(len(group), *shape) for shape, group in self.groups.items()}

    @torch.no_grad()
    def step(self, lr):
        for shape, group in self.groups.items():
            gradient = torch.stack([parameter.grad[rows] for parameter, rows in group])
            momentum = self.momentum[shape].mul_(MOMENTUM).add_(gradient)
            direction = self.orthogonalize(gradient.add_(momentum, alpha=MOMENTUM))
            weights = [parameter[rows] for parameter, rows in group]
            torch._foreach_mul_(weights, 1 - lr * self.weight_decay)
            torch._foreach_add_(weights, list(direction.unbind()), alpha=-lr * 0.2 * max(shape) ** 0.5)
