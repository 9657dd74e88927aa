"""The quasar family in PyTorch: the layers and mathematics of packages/model, for whole rows of one segment without a carried
state. Weights have the public checkpoint names; projections of the same input are joined into one product.
"""
import torch
import torch.nn.functional as F
from torch import nn

import linear_attention as chunks


def rms_norm(x, weight, eps):
    return F.rms_norm(x, (x.shape[-1],), weight, eps)


def unit(x):
    return F.normalize(x, dim=-1, eps=1e-12)


class QuasarModel(nn.Module):
    def __init__(self, config, weights, grouped):
        """`grouped`: experts as one grouped product (what a compiler can trace), else a loop over experts."""
        super().__init__()
        self.config, self.head_loss = config, head_loss
        self.embed = nn.Parameter(weights["model.embed_tokens.weight"])
        self.embed_norm = nn.Parameter(weights["model.embed_norm.weight"])
        self.norm = nn.Parameter(weights["model.norm.weight"])
        self.head = nn.Parameter(weights["lm_head.weight"])
        self.layers = nn.ModuleList()
        period = config["quasar_layers"] + config["gated_layers"]
        for i in range(config["n_layers"]):
            prefix = f"model.layers.{i}."
            own = {name[len(prefix) :]: w for name, w in weights.items() if name.startswith(prefix)}
            is_quasar = i % period < config["quasar_layers"]
            moe = i - config["dense_input_layers"]
            bias = weights["model.all_moe_bias"][moe] if moe >= 0 else None
            self.layers.append(Layer(config, own, is_quasar, bias, grouped))

    def compile_parts(self):
        """Compiles each layer and the head: layers of one kind share what is compiled, which takes minutes for the whole."""
        for layer in self.layers:
            layer.compile(dynamic=False, fullgraph=True)
        self.head_loss = torch.compile(head_loss, dynamic=False, fullgraph=True)

    def forward(self, tokens, targets, cosine, sine):
        """tokens, targets [B, T] -> loss with router losses, cross-entropy, tokens per expert of each mixture layer."""
        h = rms_norm(F.embedding(tokens, self.embed), self.embed_norm, self.config["rms_norm_eps"])
        router, counts = h.new_zeros(()), []
        for layer in self.layers:
            h, loss, count = layer(h, cosine, sine)
            if count is not None:
                router = router + loss
                counts.append(count)
        ce = self.head_loss(h, self.norm, self.head, targets, self.config["rms_norm_eps"])
        return ce + router, ce.detach(), torch.stack(counts)


def head_loss(h, norm, head, targets, eps):
    return F.cross_entropy((rms_norm(h, norm, eps) @ head.t()).flatten(0, 1), targets.flatten())


class Layer(nn.Module):
    def __init__(self, config, weights, is_quasar, bias, grouped):
        super().__init__()
        self.eps, self.rho = config["rms_norm_eps"], config["residual_scale"]
        for name in ("ln1", "ln1_out", "ln2", "ln2_out"):
            setattr(self, name, nn.Parameter(weights[f"{name}.weight"]))
        self.attention = (QuasarAttention if is_quasar else GatedLinearAttention)(config, weights)
        self.ffn = FeedForward(weights, "ffn") if bias is None else Mixture(config, weights, bias, grouped)
        self.is_moe = bias is not None

    def forward(self, h, cosine, sine):
        a = self.attention(rms_norm(h, self.ln1, self.eps), cosine, sine)
        h = h + self.rho * rms_norm(a, self.ln1_out, self.eps)
        f = self.ffn(rms_norm(h, self.ln2, self.eps))
        f, loss, counts = f if self.is_moe else (f, None, None)
        return h + self.rho * rms_norm(f, self.ln2_out, self.eps), loss, counts


class QuasarAttention(nn.Module):
    def __init__(self, config, weights):
        super().__init__()
        self.heads, self.width = config["n_heads"], config["head_dim"]
        joined = lambda suffix: torch.cat([weights[f"attn.{name}_{suffix}.weight"] for name in "qkv"])
        self.qkv, self.conv = nn.Parameter(joined("proj")), nn.Parameter(joined("conv1d"))
        self.beta, self.o = nn.Parameter(weights["attn.b_proj.weight"]), nn.Parameter(weights["attn.o_proj.weight"])
        self.g0, self.g1 = nn.Parameter(weights["attn.g_proj.0.weight"]), nn.Parameter(weights["attn.g_proj.1.weight"])
        self.g_bias, self.o_norm = nn.Parameter(weights["attn.g_proj.1.bias"]), nn.Parameter(weights["attn.o_norm.weight"])

    def forward(self, u, cosine, sine):
        B, T, D = u.shape
        H, E, W = self.heads, self.width, self.conv.shape[-1]
        mixed = F.conv1d(F.pad((u @ self.qkv.t()).transpose(1, 2), (W - 1, 0)), self.conv, groups=3 * D)
        q, k, v = F.silu(mixed).transpose(1, 2).reshape(B, T, 3, H, E).unbind(2)
        q, k = unit(rotate(q, cosine, sine)) * E**-0.5, unit(rotate(k, cosine, sine))
        length = k.square().sum(-1)
        alpha = -torch.expm1(-F.softplus(u @ self.beta.t()) * length) / length
        out = chunks.delta_rule(q, k, v, alpha, u.new_zeros(B * H, E, E))
        gate = F.linear(u @ self.g0.t(), self.g1, self.g_bias).view(B, T, H, E)
        y = rms_norm(out, self.o_norm, 1e-5) * gate.sigmoid()
        return y.reshape(B, T, D) @ self.o.t()


class GatedLinearAttention(nn.Module):
    def __init__(self, config, weights):
        super().__init__()
        self.heads, self.width = config["n_heads"], config["head_dim"]
        get = lambda name: nn.Parameter(weights[f"attn.{name}"])
        self.qkvg = nn.Parameter(torch.cat([weights[f"attn.{name}_proj.weight"] for name in "qkvg"]))
        self.o, self.gk0, self.gk1 = get("o_proj.weight"), get("gk_proj.0.weight"), get("gk_proj.1.weight")
        self.gk_bias, self.norm = get("gk_proj.1.bias"), get("g_norm_swish_gate.weight")

    def forward(self, u, cosine, sine):
        B, T, D = u.shape
        H, E, keys = self.heads, self.width, self.gk_bias.shape[0]
        q, k, v, gate = (u @ self.qkvg.t()).split([keys, keys, D, D], -1)
        decay = F.logsigmoid(F.linear(u @ self.gk0.t(), self.gk1, self.gk_bias)) / 16
        narrow = lambda x: x.reshape(B, T, H, keys // H)
        wide = lambda x: x.reshape(B, T, H, E)
        q = narrow(q) * (keys // H) ** -0.5
        out = chunks.gla(q, narrow(k), wide(v), narrow(decay), u.new_zeros(B * H, keys // H, E))
        y = rms_norm(out, self.norm, 1e-5) * F.silu(wide(gate))
        return y.reshape(B, T, D) @ self.o.t()


class FeedForward(nn.Module):
    def __init__(self, weights, at):
        super().__init__()
        self.gate_up = nn.Parameter(torch.cat([weights[f"{at}.gate.weight"], weights[f"{at}.up.weight"]]))
        self.down = nn.Parameter(weights[f"{at}.down.weight"])

    def forward(self, x):
        gate, up = (x @ self.gate_up.t()).chunk(2, -1)
        return (F.silu(gate) * up) @ self.down.t()


class Mixture(nn.Module):
    def __init__(self, config, weights, bias, grouped):
        super().__init__()
        self.K, self.grouped = config["top_k"], grouped
        self.aux, self.z = config["moe_aux_loss_coeff"], config["moe_z_loss_coeff"]
        get = lambda name: nn.Parameter(weights[f"ffn.{name}"])
        self.router, self.down, self.up = get("router.router_weights"), get("w_down_proj.weight"), get("w_up_proj.weight")
        self.w12, self.w3 = get("experts_w12"), get("experts_w3")
        self.shared = FeedForward(weights, "ffn.shared_experts.0")
        self.register_buffer("bias", bias.clone())

    def forward(self, x):
        rows = x.flatten(0, 1)
        N, X, K = rows.shape[0], self.router.shape[0], self.K
        logits = rows @ self.router.t()
        probability = logits.sigmoid()
        ids = (probability.detach() + self.bias).topk(K).indices
        gates = logits.gather(1, ids).softmax(-1)
        flat = ids.flatten()
        order = flat.argsort(stable=True)
        inverse = torch.empty_like(order).scatter_(0, order, torch.arange(N * K))
        counts = torch.zeros(X).scatter_add_(0, flat, torch.ones(N * K))
        sent = (rows @ self.down.t()).index_select(0, order // K)
        gate, up = self.product(sent, self.w12, counts).chunk(2, -1)
        y = self.product(F.silu(gate) * up, self.w3, counts)
        y = (y.index_select(0, inverse).view(N, K, -1) * gates.unsqueeze(-1)).sum(1)
        routed = (y @ self.up.t()).view_as(x)
        loss = self.aux * (counts / (N * K) * probability.mean(0)).sum() + self.z * logits.square().mean()
        return 0.5 * self.shared(x) + 0.5 * K**0.5 * routed, loss, counts

    def product(self, x, weights, counts):
        """Rows sorted by expert, each times its expert's matrix."""
        if self.grouped:
            return F.grouped_mm(x.contiguous(), weights, offs=counts.cumsum(0).int())
        return torch.cat([part @ w for part, w in zip(x.split(counts.int().tolist()), weights)])


def rotate(x, cosine, sine):
    """Rotary positions on x [B, T, H, E]; cosine, sine [T, 1, E / 2]."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cosine - b * sine, b * cosine + a * sine], -1)


def angles(config, T):
    half = config["head_dim"] // 2
    rates = config["rope_theta"] ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(T, dtype=torch.float64)[:, None, None] * rates
    return angle.cos().float(), angle.sin().float()
