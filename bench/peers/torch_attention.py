"""The linear-attention recurrences alone, forward and with gradients of every input."""
import torch

from exchange import load, save
from linear_attention import compiled, delta_rule, gla


def case(rule, gate_width):
    def prepare(request):
        B, T, H, d = (request[name] for name in ("B", "T", "H", "d"))
        gate = (B, T, H) if gate_width == 1 else (B, T, H, d)
        shapes = {"q": (B, T, H, d), "k": (B, T, H, d), "v": (B, T, H, d), "gate": gate}
        inputs = {name: load(request["files"][name], shape) for name, shape in shapes.items()}
        state = torch.zeros(B * H, d, d)
        run = compiled(rule) if request["variant"] == "compiled" else rule
        if not request["backward"]:

            def forward():
                with torch.no_grad():
                    return run(*inputs.values(), state)

            return forward, {"out": save(request["files"]["q"] + ".out", forward())}
        given = load(request["files"]["given"], (B, T, H, d))
        for x in inputs.values():
            x.requires_grad_()

        def both():
            return torch.autograd.grad(run(*inputs.values(), state), tuple(inputs.values()), given)

        found = dict(zip(inputs, both()))
        return both, {name: save(request["files"][name] + ".gradient", x) for name, x in found.items()}

    return prepare


CASES = {"delta_rule": case(delta_rule, 1), "gla": case(gla, 2)}
