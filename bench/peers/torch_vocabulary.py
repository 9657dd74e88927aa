"""Losses over a large vocabulary, with gradients; AdamW."""
import numpy
import torch
import torch.nn.functional as F

from exchange import load, save


def _kl(logits, teacher, direction):
    student, given = logits.log_softmax(-1), teacher.log_softmax(-1)
    from_, to = (given, student) if direction == "forward" else (student, given)
    return F.kl_div(to, from_, log_target=True, reduction="sum")


def divergence(request):
    shape = (request["M"], request["V"])
    logits = load(request["files"]["logits"], shape).requires_grad_()
    teacher = load(request["files"]["teacher"], shape)
    loss = torch.compile(_kl, dynamic=False) if request["variant"] == "compiled" else _kl

    def body():
        return torch.autograd.grad(loss(logits, teacher, request["direction"]), logits)[0]

    return body, {"gradient": save(request["files"]["logits"] + ".gradient", body())}


def adamw(request):
    weight = torch.randn(request["size"], requires_grad=True)
    weight.grad = torch.randn(request["size"])
    betas = (request["beta1"], request["beta2"])
    decay = request["weightDecay"]
    optimizer = torch.optim.AdamW([weight], request["lr"], betas, request["eps"], decay, fused=True)
    return optimizer.step, {}


def head_loss(request):
    N, V, d, files = request["N"], request["V"], request["d"], request["files"]
    hidden = load(files["hidden"], (N, d)).requires_grad_()
    head = load(files["head"], (V, d)).requires_grad_()
    targets = load(files["targets"], (N,), numpy.int32).long()

    def body():
        return torch.autograd.grad(F.cross_entropy(hidden @ head.t(), targets), (hidden, head))

    return body, {"gradient": save(files["hidden"] + ".gradient", body()[0])}


CASES = {"divergence": divergence, "adamw": adamw, "head_loss": head_loss}
