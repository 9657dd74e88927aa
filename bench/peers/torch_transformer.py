"""Training steps of a dense transformer, forward, backward, clipping, AdamW and Muon; and a whole run with its bits per byte."""
import math
import time

import numpy
import torch

from exchange import load
from muon import Muon
from torch_training import weights_of
from transformer_model import Transformer, turns


class Training:
    def __init__(self, request):
        config, self.s = request["config"], request["optimizer"]
        self.B, self.T, self.rates = request["B"], request["T"], request["rates"]
        self.model = Transformer(config, weights_of(request))
        self.angles = turns(config, self.T)
        read = lambda name: load(request[name], (-1, self.B, self.T), numpy.int32).long()
        self.tokens, self.targets = read("tokens"), without_target(read("targets"))
        self.positions = read("positions") if "positions" in request else None
        self.parameters = list(self.model.parameters())
        s, matrices = self.s, self.model.matrices() if request["matrices"] == "muon" else []
        moved = {id(parameter) for parameter, _, _ in matrices}
        rest = [p for p in self.parameters if id(p) not in moved]
        groups = [
            {"params": [p for p in rest if p.dim() > 1], "weight_decay": s["weightDecay"]},
            {"params": [p for p in rest if p.dim() == 1], "weight_decay": 0.0},
        ]
        self.adamw = torch.optim.AdamW(groups, lr=1.0, betas=(s["beta1"], s["beta2"]), eps=s["eps"], fused=True)
        self.muon = Muon(matrices, s["weightDecay"])
        self.done = 0
        if request["variant"] == "compiled":
            self.model.compile_parts()
            self.muon.orthogonalize = torch.compile(self.muon.orthogonalize, dynamic=False)

    def step(self):
        """One step on the next batch, from the first again after the last."""
        at = self.done % len(self.tokens)
        lr = self.rates[self.done % len(self.rates)]
        self.model.zero_grad(set_to_none=True)
        loss = self.model(self.tokens[at], self.targets[at], *self.context(at))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.s["clipNorm"])
        self.muon.step(lr)
        for group in self.adamw.param_groups:
            group["lr"] = lr
        self.adamw.step()
        self.done += 1
        return {"ce": loss.item(), "gradientNorm": norm.item()}


    def context(self, at):
        """Rotations and mask of a batch: none where all its rows are one segment."""
        if self.positions is None or bool((self.positions[at] == torch.arange(self.T)).all()):
            return self.angles
        segments = (self.positions[at] == 0).cumsum(1)
        mask = (segments[:, :, None] == segments[:, None, :]).tril()[:, None]
        return *[turn[self.positions[at]] for turn in self.angles], mask


def without_target(targets):
    return targets.masked_fill(targets < 0, -100)


def transformer(request):
    training = Training(request)
    return training.step, {"steps": [training.step(), training.step()]}


def transformer_run(request):
    """Every batch once; then the held-out windows, whose targets are -1 where they do not count."""
    training = Training(request)
    start = time.perf_counter()
    losses = [training.step()["ce"] for _ in range(len(training.tokens))]
    seconds = time.perf_counter() - start
    read = lambda name: load(request[f"held_{name}"], (-1, training.T), numpy.int32).long()
    tokens, targets = read("tokens"), without_target(read("targets"))
    nats = 0.0
    with torch.no_grad():
        for rows, wanted in zip(tokens.split(training.B), targets.split(training.B)):
            count = int((wanted >= 0).sum())
            nats += training.model(rows, wanted, *training.angles).item() * count
    return training.step, {"seconds": seconds, "losses": losses, "bitsPerByte": nats / math.log(2) / request["heldBytes"]}


CASES = {"transformer": transformer, "transformer_run": transformer_run}
