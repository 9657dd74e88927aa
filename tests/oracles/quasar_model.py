"""The quasar family token by token in PyTorch float64, written from the equations of architecture 2.1, 3.4-3.6 and 3.8-3.10:
logits, loss, and of each parameter one number of its gradient, the sum of gradient times weights drawn by its name.
"""
import torch
import torch.nn.functional as F
from inputs import gradient_numbers, show, uniform

# Layers: quasar dense, gla dense, quasar mixture, gla mixture.
TINY = dict(
    vocab_size=48, d_model=32, n_layers=4, n_heads=2, head_dim=16, d_ff=48, eps=1e-6, period=("quasar", "gla"), keys=32, conv=4,
    dense=2, experts=4, top_k=2, shared=24, routed=16, r=0.5, rho=0.4, theta=1e6, aux=1e-4, z=1e-4, loops=1, anchored=False,
)
CASES = {
    "plain": TINY,
    "two loops with injection": TINY | dict(loops=2, anchored=True),
    "latent memory": TINY | dict(memory=16),
}
SEGMENT = 64
B, T = 2, 70


def parameter(name, *shape):
    """Norms near 1, everything else near 0; a leaf that is drawn once per name."""
    if name not in leaves:
        is_norm = len(shape) == 1 and "norm" in name or name.split(".")[-2][:2] == "ln"
        leaves[name] = (uniform(name, -0.25, 0.25, *shape) + is_norm).requires_grad_(not name.endswith("moe_bias"))
    return leaves[name]


def rms(x, w, eps):
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * w


def rotated(x, theta):
    """x [T, H, E] at positions 0 .. T-1, halves as pairs."""
    half = x.shape[-1] // 2
    angle = torch.arange(x.shape[0])[:, None, None] * theta ** (-torch.arange(half, dtype=torch.float64) / half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


def convolved(x, w):
    """silu of a causal convolution per channel: x [T, D], w [D, 1, W]."""
    W = w.shape[-1]
    padded = torch.cat([x.new_zeros(W - 1, x.shape[1]), x])
    return F.silu(sum(padded[j : j + len(x)] * w[:, 0, j] for j in range(W)))


def quasar(u, c, w):
    """u [T, D] of one row."""
    D, H, E = c["d_model"], c["n_heads"], c["head_dim"]
    q, k, v = (convolved(u @ w(f"{x}_proj.weight", D, D).T, w(f"{x}_conv1d.weight", D, 1, c["conv"])).view(-1, H, E) for x in "qkv")
    q, k = (F.normalize(rotated(x, c["theta"]), dim=-1) for x in (q, k))
    beta = F.softplus(u @ w("b_proj.weight", H, D).T)
    S, out = u.new_zeros(H, E, E), []
    for t in range(len(u)):
        length = k[t].square().sum(-1)
        alpha = -torch.expm1(-beta[t] * length) / length
        residual = v[t] - torch.einsum("hij,hi->hj", S, k[t])
        S = S + alpha[:, None, None] * torch.einsum("hi,hj->hij", k[t], residual)
        out.append(torch.einsum("hij,hi->hj", S, q[t] * E**-0.5))
    gate = (u @ w("g_proj.0.weight", E, D).T) @ w("g_proj.1.weight", D, E).T + w("g_proj.1.bias", D)
    y = rms(torch.stack(out), w("o_norm.weight", E), 1e-5) * gate.view(-1, H, E).sigmoid()
    return y.flatten(1) @ w("o_proj.weight", D, D).T


def gla(u, c, w):
    D, H, E, keys = c["d_model"], c["n_heads"], c["head_dim"], c["keys"]
    q, k = ((u @ w(f"{x}_proj.weight", keys, D).T).view(-1, H, keys // H) for x in "qk")
    v, gate = ((u @ w(f"{x}_proj.weight", D, D).T).view(-1, H, E) for x in "vg")
    raw = (u @ w("gk_proj.0.weight", 16, D).T) @ w("gk_proj.1.weight", keys, 16).T + w("gk_proj.1.bias", keys)
    decay = (F.logsigmoid(raw) / 16).exp().view(-1, H, keys // H)
    S, out = u.new_zeros(H, keys // H, E), []
    for t in range(len(u)):
        S = decay[t][..., None] * S + torch.einsum("hi,hj->hij", k[t], v[t])
        out.append(torch.einsum("hij,hi->hj", S, q[t] * (keys // H) ** -0.5))
    y = rms(torch.stack(out), w("g_norm_swish_gate.weight", E), 1e-5) * F.silu(gate)
    return y.flatten(1) @ w("o_proj.weight", D, D).T


def memory(u, c, w):
    """What the tokens of one row read from the segments that were complete before their own. M slots of M channels."""
    D, M = c["d_model"], c["memory"]
    h = F.layer_norm(u, (D,), w("memory.input_norm.weight", D), w("memory.input_norm.bias", D))
    m = h @ w("memory.summary_proj.weight", M, D).T + w("memory.summary_proj.bias", M)
    eta = (h @ w("memory.W_eta.weight", 1, D).T + w("memory.W_eta.bias", 1)).sigmoid()
    q = h @ w("memory.W_qkv_mem.weight", 3 * M, D)[2 * M :].T
    query, channels = w("memory.summary_query", 1, 1, M).view(M), w("memory.eta_channels", 1, 1, M).view(M).sigmoid()
    slots, read = w("memory.M0", M, M), []
    for at in range(0, len(u), SEGMENT):
        part = slice(at, at + SEGMENT)
        read.append((2 * q[part] @ slots.T).softmax(-1) @ slots)
        summary = (m[part] @ query / M**0.5).softmax(0) @ m[part]
        address = (slots @ summary * M**-0.5 * w("memory.temperature", 1).exp()).softmax(0)
        write = address[:, None] * eta[part].max() * channels
        slots = (1 - write) * slots + write * summary
    gate = (u @ w("W_alpha.weight", 1, D).T + w("W_alpha.bias", 1)).sigmoid()
    return gate * (torch.cat(read) @ w("C_to_hidden.weight", D, M).T)


def swiglu(x, at, c, width, w):
    D = c["d_model"]
    gate, up = (x @ w(f"{at}.{name}.weight", width, D).T for name in ("gate", "up"))
    return (F.silu(gate) * up) @ w(f"{at}.down.weight", D, width).T


def mixture(x, bias, c, w):
    """x [N, D] of all rows -> output, router loss."""
    D, X, K, low, width = c["d_model"], c["experts"], c["top_k"], int(c["d_model"] * c["r"]), int(c["routed"] / c["r"])
    logits = x @ w("ffn.router.router_weights", X, D).T
    chosen = (logits.sigmoid() + bias).topk(K).indices
    gates = logits.gather(1, chosen).softmax(-1)
    sent = x @ w("ffn.w_down_proj.weight", low, D).T
    first, second = w("ffn.experts_w12", X, low, 2 * width), w("ffn.experts_w3", X, width, low)
    outputs = []
    for n in range(len(x)):
        inner = [sent[n] @ first[e] for e in chosen[n]]
        outputs.append(sum(g * ((F.silu(i[:width]) * i[width:]) @ second[e]) for g, i, e in zip(gates[n], inner, chosen[n])))
    routed = torch.stack(outputs) @ w("ffn.w_up_proj.weight", D, low).T
    share = torch.bincount(chosen.flatten(), minlength=X) / chosen.numel()
    loss = c["aux"] * (share * logits.sigmoid().mean(0)).sum() + c["z"] * logits.square().mean()
    return 0.5 * (swiglu(x, "ffn.shared_experts.0", c, c["shared"], w) + K**0.5 * routed), loss


def run(c):
    leaves.clear()
    D, V, eps, rho = c["d_model"], c["vocab_size"], c["eps"], c["rho"]
    ids, targets = ((uniform(name, 0, 1, B, T) * V).long() for name in ("tokens", "targets"))
    bias = parameter("model.all_moe_bias", c["n_layers"] - c["dense"], c["experts"])
    anchor = rms(parameter("model.embed_tokens.weight", V, D)[ids], parameter("model.embed_norm.weight", D), eps)
    h, router = anchor, 0
    for _ in range(c["loops"]):
        for i in range(c["n_layers"]):
            own = lambda name, *shape: parameter(f"model.layers.{i}.{name}", *shape)
            attention = lambda name, *shape: own(f"attn.{name}", *shape)
            norm = lambda x, name: rms(x, own(f"{name}.weight", D), eps)
            if c["anchored"]:
                h = h + own("injection_gate", 1).sigmoid() * anchor
            layer = quasar if c["period"][i % 2] == "quasar" else gla
            a = torch.stack([layer(u, c, attention) for u in norm(h, "ln1")])
            if "memory" in c and layer is gla:
                a = a + torch.stack([memory(u, c, own) for u in norm(h, "ln1")])
            h = h + rho * norm(a, "ln1_out")
            u = norm(h, "ln2").flatten(0, 1)
            if i < c["dense"]:
                f = swiglu(u, "ffn", c, c["d_ff"], own)
            else:
                f, loss = mixture(u, bias[i - c["dense"]], c, own)
                router = router + loss
            h = h + rho * norm(f.view_as(h), "ln2_out")
    logits = rms(h, parameter("model.norm.weight", D), eps) @ parameter("lm_head.weight", V, D).T
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten()) + router
    return {"logits": logits[:, ::7], "loss": loss, **gradient_numbers(loss, leaves)}


leaves = {}
show({name: run(config) for name, config in CASES.items()})
