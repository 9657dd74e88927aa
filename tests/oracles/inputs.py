"""The inputs of every oracle: a generator that gives the same doubles in Python and in JavaScript."""
import json
import math
import sys
import zlib

import torch

MODULUS = 2**31 - 1


def uniform(name, low, high, *shape):
    """Numbers in (low, high) that depend on the name alone (Park and Miller's generator), float64."""
    state = zlib.crc32(name.encode()) % (MODULUS - 1) + 1
    values = []
    for _ in range(math.prod(shape)):
        state = state * 48271 % MODULUS
        values.append(low + (high - low) * (state / MODULUS))
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def show(results):
    """Prints {case: {name: tensor}} as JSON, 10 significant digits."""
    numbers = lambda tensor: [float(f"{x:.10g}") for x in tensor.detach().double().flatten().tolist()]
    json.dump({case: {name: numbers(t) for name, t in named.items()} for case, named in results.items()}, sys.stdout)
    print()


def gradient_numbers(loss, leaves):
    """{name: sum(gradient * weights drawn by the name)} of the leaves that want gradients."""
    trained = {name: x for name, x in leaves.items() if x.requires_grad}
    found = torch.autograd.grad(loss, list(trained.values()))
    return {name: (d * uniform(f"d {name}", -1, 1, *d.shape)).sum() for name, d in zip(trained, found)}
