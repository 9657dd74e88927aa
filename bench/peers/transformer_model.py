"""A dense softmax transformer in PyTorch: the qwen3_5 family of packages/model with full attention in every layer, for whole
rows. Weights have the public names; projections of the same input are joined into one product.
"""
import torch
import torch.nn.functional as F
from torch import nn

from quasar_model import angles, rotate

JOINED = {"qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "gate_up": ("mlp.gate_proj", "mlp.up_proj")}


def centred_norm(x, weight, eps):
    return F.rms_norm(x, (x.shape[-1],), 1 + weight, eps)


def head_loss(h, norm, head, targets, eps):
    return F.cross_entropy((centred_norm(h, norm, eps) @ head.t()).flatten(0, 1), targets.flatten())


class Transformer(nn.Module):
    def __init__(self, config, weights):
        super().__init__()
        self.eps, self.head_loss = config["rms_norm_eps"], head_loss
        self.embed = nn.Parameter(weights["model.embed_tokens.weight"])
        self.norm = nn.Parameter(weights["model.norm.weight"])
        self.head = nn.Parameter(weights["lm_head.weight"])
        self.layers = nn.ModuleList()
        for i in range(config["num_hidden_layers"]):
            prefix = f"model.layers.{i}."
            self.layers.append(Layer(config, {k[len(prefix) :]: w for k, w in weights.items() if k.startswith(prefix)}))

    def compile_parts(self):
        """Compiles each layer and the head: all layers share what is compiled."""
        for layer in self.layers:
            layer.compile(dynamic=False, fullgraph=True)
        self.head_loss = torch.compile(head_loss, dynamic=False, fullgraph=True)

    def forward(self, tokens, targets, cosine, sine, mask=None):
        """tokens, targets [B, T] (-100: none) -> mean cross-entropy; mask [B, 1, T, T] where rows have several segments"""
        h = F.embedding(tokens, self.embed)
        for layer in self.layers:
            h = layer(h, cosine, sine, mask)
        return self.head_loss(h, self.norm, self.head, targets, self.eps)

    def matrices(self):
        """Hidden matrices as Muon sees them: (parameter, first row, rows) of each projection."""
        found = []
        for layer in self.layers:
            for parameter, rows in layer.projections():
                first = 0
                for count in rows:
                    found.append((parameter, first, count))
                    first += count
        return found


class Layer(nn.Module):
    def __init__(self, config, weights):
        super().__init__()
        self.eps, self.heads, self.width = config["rms_norm_eps"], config["num_attention_heads"], config["head_dim"]
        get = lambda name: nn.Parameter(weights[f"{name}.weight"])
        self.norm1, self.norm2 = get("input_layernorm"), get("post_attention_layernorm")
        self.q_norm, self.k_norm = get("self_attn.q_norm"), get("self_attn.k_norm")
        self.rows = {at: [weights[f"{name}.weight"].shape[0] for name in names] for at, names in JOINED.items()}
        for at, names in JOINED.items():
            setattr(self, at, nn.Parameter(torch.cat([weights[f"{name}.weight"] for name in names])))
        self.o, self.down = get("self_attn.o_proj"), get("mlp.down_proj")

    def projections(self):
        return [(self.qkv, self.rows["qkv"]), (self.o, [len(self.o)]), (self.gate_up, self.rows["gate_up"]), (self.down, [len(self.down)])]

    def forward(self, h, cosine, sine, mask):
        B, T, D = h.shape
        H, E = self.heads, self.width
        q, k, v = (centred_norm(h, self.norm1, self.eps) @ self.qkv.t()).split([2 * H * E, H * E, H * E], -1)
        q, gate = q.view(B, T, H, 2 * E).chunk(2, -1)  # [B, T, H, E] each
        q = rotate(centred_norm(q, self.q_norm, self.eps), cosine, sine)
        k = rotate(centred_norm(k.view(B, T, H, E), self.k_norm, self.eps), cosine, sine)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.view(B, T, H, E).transpose(1, 2)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None).transpose(1, 2)
        h = h + (out * gate.sigmoid()).reshape(B, T, H * E) @ self.o.t()
        gate, up = (centred_norm(h, self.norm2, self.eps) @ self.gate_up.t()).chunk(2, -1)
        return h + (F.silu(gate) * up) @ self.down.t()


def turns(config, T):
    """cos and sin of all channels of a head"""
    return angles({"head_dim": config["head_dim"], "rope_theta": config["rope_parameters"]["rope_theta"]}, T)
