"""The quasar_long family (Quasar-Preview) token by token in PyTorch float64, written from the equations of architecture 2.2,
3.2, 3.3, 3.5.8, 3.6, 3.7, 3.9.2, 3.11 and 3.12: logits, loss, and of each parameter one number of its gradient.
"""
import torch
import torch.nn.functional as F
from inputs import gradient_numbers, show, uniform

# Layers: plain dense, then mixtures: plain, quasar, raven, quasar, quasar, gla. No layer has a memory of n-grams.
HYBRID = dict(
    V=48, D=64, H=4, G=2, E=16, layers=7, hybrid=(2, 3, 4, 5, 6), cycle=("quasar", "raven", "quasar", "quasar", "gla"), ffn=48,
    experts=8, chosen=2, groups=4, open_groups=2, width=16, scaling=2.5, eps=1e-6, theta=1e4, rotary=8, cutoff=40, slots=16,
    open_slots=8, rank=4, variant="sigmoid", memories=(), tables_per_order=2, orders=(2, 3), rows=53, row=16, dim=32,
    memory_gate="rmsnorm",
)
SMALL = dict(HYBRID, layers=2, hybrid=(1,), cycle=("quasar",))
C = dict(HYBRID)
B, T = 2, 63
leaves = {}


def parameter(name, *shape):
    """Norms and gains near 1, slopes of decay small, everything else near 0; a leaf that is drawn once per name."""
    if name not in leaves:
        is_one = "norm" in name or "gain" in name
        leaves[name] = (uniform(name, -0.25, 0.25, *shape) + is_one).requires_grad_(not name.endswith("expert_bias"))
    return leaves[name]


def rms(x, w):
    return x / (x.square().mean(-1, keepdim=True) + C["eps"]).sqrt() * w


def rotated(x):
    """x [T, H, E]: the first channels turn by position, from the cutoff on not at all (safe NoPE)."""
    r, at = C["rotary"], torch.arange(len(x))
    at = torch.where(at < C["cutoff"], at, 0)
    angle = at[:, None, None] * C["theta"] ** (-torch.arange(r // 2, dtype=torch.float64) / (r // 2))
    a, b, rest = x[..., : r // 2], x[..., r // 2 : r], x[..., r:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin(), rest], -1)


def heads(u, w, at):
    """q [T, H, E], k and v [T, G, E] repeated to H heads; q and k normalised and rotated."""
    H, G, E, D = C["H"], C["G"], C["E"], C["D"]
    q, k, v = (u @ w(f"{at}query_key_value.weight", (H + 2 * G) * E, D).T).split([H * E, G * E, G * E], -1)
    q = rotated(rms(q.view(-1, H, E), w(f"{at}query_layernorm.weight", E)))
    k = rotated(rms(k.view(-1, G, E), w(f"{at}key_layernorm.weight", E)))
    return q, k.repeat_interleave(H // G, 1), v.view(-1, G, E).repeat_interleave(H // G, 1)


def softmax_attention(u, w):
    q, k, v = heads(u, w, "")
    scores = torch.einsum("ihe,jhe->hij", q, k) * C["E"] ** -0.5
    hidden = torch.ones(len(u), len(u)).triu(1).bool()
    out = torch.einsum("hij,jhe->ihe", scores.masked_fill(hidden, -torch.inf).softmax(-1), v)
    return out.flatten(1) @ w("dense.weight", C["D"], C["D"]).T


def writing(u, w):
    """What a token at t does to the state, (t, S [H, E, E], k [H, E], v [H, E]) -> S, in each variant of 3.5.4 and 3.5.8."""
    D, H, E = C["D"], C["H"], C["E"]

    def delta(S, k, v, alpha):
        return S + alpha[:, None, None] * torch.einsum("hi,hj->hij", k, v - torch.einsum("hij,hi->hj", S, k))

    if C["variant"] == "fork_v1":
        beta = F.softplus(w("beta_log", H))
        form = lambda length: (1 - torch.exp(-beta * length)) / (length + 1e-8)
        return lambda t, S, k, v: delta(S, k, v, form(k.square().sum(-1)))
    z = u @ w("b_proj.weight", H, D).T
    if C["variant"] == "sigmoid":
        beta = z.sigmoid()
        form = lambda t, length: -torch.expm1(-beta[t] * length) / length
        return lambda t, S, k, v: delta(S, k, v, form(t, k.square().sum(-1)))
    rate, shift = w("A_log", H).exp(), w("dt_bias", H if C["variant"] == "scalar" else H * E)
    if C["variant"] == "preview_chunk":
        gate = 1 - torch.exp(-rate[:, None] * F.softplus(z.sigmoid()[..., None] + shift.view(H, E)))
        form = lambda t, length: (gate[t] / (length.clamp(0.1, 10)[:, None] + 1e-6)).mean(-1).clamp(1e-4, 0.95)
        return lambda t, S, k, v: delta(S, k, v, form(t, k.square().sum(-1)))
    f = u @ w("f_proj.weight", len(shift), D).T + shift
    if C["variant"] == "preview_recurrent":
        kept = torch.exp(-rate[:, None] * F.softplus(f.view(-1, H, E)))
        form = lambda t, length: (1 - torch.exp(-z[t].sigmoid() * length)) / (length + 1e-8)
        return lambda t, S, k, v: delta(kept[t][..., None] * S, k, v, form(t, k.square().sum(-1).clamp(min=0.05)))
    # Scalar decay: the flow of dS/dt = -(k k' + gamma) S + k v' for a time beta, as one matrix exponential of it and its input.
    beta, gamma = F.softplus(z), rate * F.softplus(f)

    def flow(t, S, k, v):
        top = torch.cat([-(k[:, :, None] * k[:, None] + gamma[t, :, None, None] * torch.eye(E)), k[:, :, None] * v[:, None]], 2)
        whole = torch.matrix_exp(beta[t, :, None, None] * torch.cat([top, torch.zeros_like(top)], 1))
        return whole[:, :E, :E] @ S + whole[:, :E, E:]

    return flow


def memory(h, ids, w):
    """h [T, D] and ids [T] of one row: Engram, 3.11. Hashes are of int64 numbers, which wrap."""
    D, N, M, width, dim = C["D"], C["tables_per_order"], C["rows"], C["row"], C["dim"]
    tables = N * len(C["orders"])
    seeds = uniform(w.full("engram.seeds"), 1, 2**31 - 2, tables).long()
    token = (torch.arange(C["V"]) * 2654435761 % int(0.77 * C["V"]))[ids]
    weights, found = w("engram.embed_tables", tables, M, width), []
    for j in range(tables):
        n = C["orders"][j // N]
        grams = F.pad(token, (n - 1, 0)).unfold(0, n, 1)
        hashed = seeds[j].expand(len(ids))
        for i in range(n):
            hashed = hashed * 2654435761 ^ grams[:, i]
        found.append(weights[j, hashed.abs() % M])
    e = torch.cat(found, -1).clamp(-10, 10) @ w("engram.embed_proj.weight", dim, tables * width).T
    k, v = (e @ w(f"engram.{x}.weight", dim, dim).T for x in ("W_K", "W_V"))
    cosine = F.cosine_similarity(h @ w("engram.q_proj.weight", dim, D).T, k, -1)
    taken = (cosine * dim ** (0.5 if C["memory_gate"] == "rmsnorm" else -0.5)).sigmoid()[:, None] * v
    past = F.pad(rms(taken, w("engram.conv_norm.weight", dim)).T, (9, 0))
    mixed = F.conv1d(past[None], w("engram.conv.weight", dim, 1, 4), groups=dim, dilation=3)[0].T
    return (F.silu(mixed) + taken) @ w("engram.out_proj.weight", D, dim).T


def quasar(u, w):
    D, H, E = C["D"], C["H"], C["E"]
    u = u / (u.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    q, k, v = (F.silu(u @ w(f"{x}_proj.weight", D, D).T).view(-1, H, E) for x in "qkv")
    step, is_raw = writing(u, w), C["variant"] == "fork_v1"
    if not is_raw:
        q, k = F.normalize(q, dim=-1) * E**-0.5, F.normalize(k, dim=-1)
    S, out = u.new_zeros(H, E, E), []
    for t in range(len(u)):
        S = step(t, S, k[t], v[t])
        out.append(torch.einsum("hij,hi->hj", S, q[t]))
    gate = (u @ w("g_proj.0.weight", E, D).T) @ w("g_proj.1.weight", D, E).T + w("g_proj.1.bias", D)
    o = torch.stack(out)
    y = o / (o.square().mean(-1, keepdim=True) + C["eps"]).sqrt() * w("o_norm.weight", E) * gate.view(-1, H, E).sigmoid()
    return y.flatten(1) @ w("o_proj.weight", D, D).T


def raven(u, w):
    D, H, G, E, M = C["D"], C["H"], C["G"], C["E"], C["slots"]
    q = rms(F.silu(u @ w("q_proj.weight", D, D).T).view(-1, H, E), w("q_norm.weight", E))
    k = rms(F.silu(u @ w("k_proj.weight", G * E, D).T).view(-1, G, E), w("k_norm.weight", E)).repeat_interleave(H // G, 1)
    v = F.silu(u @ w("v_proj.weight", G * E, D).T).view(-1, G, E).repeat_interleave(H // G, 1)
    p = (u @ w("r_proj.weight", H * M, D).T).view(-1, H, M).sigmoid()
    chosen = torch.zeros_like(p).scatter(-1, p.topk(C["open_slots"], -1).indices, 1) * p
    share = chosen / (chosen.sum(-1, keepdim=True) + 1e-9)
    f = -w("A_log", H).exp() * F.softplus(u @ w("a_proj.weight", H, D).T + w("dt_bias", H))
    g = f[..., None] * share
    K, V, out = u.new_zeros(H, M, E), u.new_zeros(H, M, E), []
    for t in range(len(u)):
        keep, write = g[t].exp()[..., None], -torch.expm1(g[t])[..., None]
        K, V = keep * K + write * k[t][:, None], keep * V + write * v[t][:, None]
        out.append(torch.einsum("hm,hme->he", torch.einsum("hme,he->hm", K, q[t]).softmax(-1), V))
    return rms(F.silu(torch.stack(out).flatten(1)), w("g_norm.weight", D)) @ w("o_proj.weight", D, D).T


def gla(u, w, layer):
    D, H, E, L = C["D"], C["H"], C["E"], C["layers"]
    q, k, v = heads(u, w, "")
    slope = 2.0 ** (-8 / H * torch.arange(1, H + 1))
    # A float32 buffer of the checkpoint.
    decay = (-slope * (1 - max(layer - 1, 0) / (L - 1) + 1e-5)).float().double().exp()
    S, out = u.new_zeros(H, E, E), []
    for t in range(len(u)):
        S = decay[:, None, None] * S + torch.einsum("hi,hj->hij", k[t], v[t])
        out.append(torch.einsum("hij,hi->hj", S, q[t] * E**-0.5))
    o = torch.stack(out)
    y = (o / (o.square().mean(-1, keepdim=True) + C["eps"]).sqrt()).flatten(1) * w("g_norm.weight", D)
    return (y * (u @ w("g_proj.weight", D, D).T).sigmoid()) @ w("dense.weight", D, D).T


def attention(u, w, layer):
    """u [T, D] of one row."""
    base = softmax_attention(u, w)
    if layer not in C["hybrid"]:
        return base
    kind = C["cycle"][C["hybrid"].index(layer) % len(C["cycle"])]
    own = lambda name, *shape: w(f"{kind}_attention.{name}", *shape)
    branch = {"quasar": quasar, "raven": raven, "gla": lambda u, w: gla(u, w, layer)}[kind](u, own)
    y = w("branch_output_channel_gain", C["D"]) * (w("branch_global_output_gain", 1) * branch)
    low = y @ w("branch_output_adapter_down.weight", C["rank"], C["D"]).T
    y = y + low @ w("branch_output_adapter_up.weight", C["D"], C["rank"]).T
    return base + w("replace_alpha_raw", 1).sigmoid() * y


def swiglu(x, at, width, w):
    gate, up = (x @ w(f"{at}.{name}_proj.weight", width, C["D"]).T for name in ("gate", "up"))
    return (F.silu(gate) * up) @ w(f"{at}.down_proj.weight", C["D"], width).T


def mixture(x, w):
    """x [N, D]. Groups are judged by their two best experts, experts by score and bias; weights are scores, summing to `scaling`."""
    X, width, D = C["experts"], C["width"], C["D"]
    p = (x @ w("mlp.gate.weight", X, D).T).sigmoid()
    judged = p + w("mlp.gate.expert_bias", X)
    groups = judged.view(len(x), C["groups"], -1).topk(2, -1).values.sum(-1)
    is_open = torch.zeros_like(groups).scatter(1, groups.topk(C["open_groups"], 1).indices, 1).bool()
    judged = judged.masked_fill(~is_open.repeat_interleave(X // C["groups"], 1), -torch.inf)
    chosen = judged.topk(C["chosen"], 1).indices
    picked = p.gather(1, chosen)
    weights = picked / (picked.sum(1, keepdim=True) + 1e-20) * C["scaling"]
    first, second = w("mlp.experts_w12", X, D, 2 * width), w("mlp.experts_w3", X, width, D)
    rows = []
    for n in range(len(x)):
        inner = [x[n] @ first[e] for e in chosen[n]]
        rows.append(sum(g * ((F.silu(i[:width]) * i[width:]) @ second[e]) for g, i, e in zip(weights[n], inner, chosen[n])))
    return torch.stack(rows) + swiglu(x, "mlp.shared_experts", width, w)


def run(case=HYBRID):
    C.update(case)
    leaves.clear()
    D, V = C["D"], C["V"]
    ids, targets = ((uniform(name, 0, 1, B, T) * V).long() for name in ("tokens", "targets"))
    h = parameter("model.word_embeddings.weight", V, D)[ids]
    for layer in range(C["layers"]):
        own = lambda name, *shape: parameter(f"model.layers.{layer}.{name}", *shape)
        mixer = lambda name, *shape: own(f"attention.{name}", *shape)
        own.full = lambda name: f"model.layers.{layer}.{name}"
        if layer in C["memories"]:
            h = h + torch.stack([memory(*row, own) for row in zip(h, ids)])
        h = h + torch.stack([attention(u, mixer, layer) for u in rms(h, own("input_layernorm.weight", D))])
        u = rms(h, own("post_attention_layernorm.weight", D)).flatten(0, 1)
        h = h + (swiglu(u, "mlp", C["ffn"], own) if layer == 0 else mixture(u, own)).view_as(h)
    logits = rms(h, parameter("model.norm.weight", D)) @ parameter("lm_head.weight", V, D).T
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    return {"logits": logits[:, ::7], "loss": loss, **gradient_numbers(loss, leaves)}


VARIANTS = ("preview_chunk", "preview_recurrent", "fork_v1", "scalar")
GATES = ("rmsnorm", "public")
show(
    {"hybrid": run()}
    | {f"writing: {variant}": run(dict(SMALL, variant=variant)) for variant in VARIANTS}
    | {f"memories: {gate}": run(dict(SMALL, memories=(0, 1), memory_gate=gate)) for gate in GATES}
)
