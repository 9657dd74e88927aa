"""One whole training step: forward, backward, clipping, AdamW, update of the expert bias."""
import numpy
import torch

from exchange import load
from quasar_model import Mixture, QuasarModel, angles


def weights_of(request):
    everything = numpy.fromfile(request["weights"], dtype=numpy.float32)
    tensors, at = {}, 0
    for name, shape in request["table"]:
        size = int(numpy.prod(shape, dtype=numpy.int64))
        tensors[name] = torch.from_numpy(everything[at : at + size].copy()).reshape(shape)
        at += size
    return tensors


def update_bias(mixtures, momentum, counts, config):
    """SMEBU (architecture 3.9.3), all layers at once."""
    mean = counts.mean(1, keepdim=True)
    delta = config["smebu_lambda"] * torch.tanh(config["smebu_kappa"] * (mean - counts) / (mean + 1e-6))
    momentum.lerp_(delta - delta.mean(1, keepdim=True), 1 - config["smebu_beta"])
    bias = (torch.stack([m.bias for m in mixtures]) + momentum).clamp_(-10, 10)
    for mixture, b in zip(mixtures, bias - bias.mean(1, keepdim=True)):
        mixture.bias.copy_(b)


def training(request):
    config, B, T, s = request["config"], request["B"], request["T"], request["optimizer"]
    is_compiled = request["variant"] == "compiled"
    model = QuasarModel(config, weights_of(request), grouped=is_compiled)
    tokens = load(request["tokens"], (B, T), numpy.int32).long()
    targets = load(request["targets"], (B, T), numpy.int32).long()
    cosine, sine = angles(config, T)
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": s["weightDecay"]},
        {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=request["lr"], betas=(s["beta1"], s["beta2"]), eps=s["eps"], fused=True)
    mixtures = [m for m in model.modules() if isinstance(m, Mixture)]
    momentum = torch.zeros(len(mixtures), config["num_routed_experts"])
    if is_compiled:
        model.compile_parts()

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss, ce, counts = model(tokens, targets, cosine, sine)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, s["clipNorm"])
        optimizer.step()
        with torch.no_grad():
            update_bias(mixtures, momentum, counts, config)
        return {"ce": ce.item(), "gradientNorm": norm.item()}

    return step, {"steps": [step(), step()]}


CASES = {"training": training}
