"""PyTorch as a peer: the cases of every area, eager and compiled. Protocol: bench/peers.js.

A case is a function of a request that returns (body, answer): `body()` does the work once, `answer` is what the asker
compares before it times anything. Cases live in torch_<area>.py, by name.
"""
import json
import os
import sys
import time
import traceback

import torch

import torch_attention
import torch_matmul
import torch_training
import torch_transformer
import torch_vocabulary

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "0")) or torch.get_num_threads())
AREAS = (torch_matmul, torch_attention, torch_training, torch_transformer, torch_vocabulary)
CASES = {name: case for area in AREAS for name, case in area.CASES.items()}
bodies = {}


def answer(request):
    op = request["op"]
    if op == "info":
        return {"version": f"{torch.__version__}, {torch.get_num_threads()} threads"}
    if op == "prepare":
        body, found = CASES[request["case"]](request)
        bodies[len(bodies)] = body
        return {"id": len(bodies) - 1, **found}
    if op == "time":
        body = bodies[request["id"]]
        start = time.perf_counter()
        for _ in range(request["repeats"]):
            body()
        return {"seconds": (time.perf_counter() - start) / request["repeats"]}
    if op == "drop":
        bodies[request["id"]] = None
        return {}
    return {"error": f"unknown op {op}"}


# Libraries print to stdout; answers keep it for themselves.
out = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except Exception as error:  # the asker shows it in the table
        traceback.print_exc()
        reply = {"error": f"{type(error).__name__}: {error}"}
    out.write(json.dumps(reply) + "\n")
