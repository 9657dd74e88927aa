"""Small random Qwen3.5 text models of `transformers`, dense and with experts, as it saves them, with logits and a greedy
continuation; and how it saves the same text inside a multimodal model: config, names and shapes. Writes one folder per model
into the folder named on the command line.
"""
import json
import struct
import sys
import tempfile
from pathlib import Path

import torch
from inputs import uniform
from transformers import (
    Qwen3_5Config, Qwen3_5ForCausalLM, Qwen3_5ForConditionalGeneration, Qwen3_5MoeConfig, Qwen3_5MoeForCausalLM,
    Qwen3_5MoeForConditionalGeneration, Qwen3_5MoeTextConfig, Qwen3_5TextConfig,
)

TEXT = dict(
    vocab_size=64, hidden_size=32, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1,
    head_dim=32, linear_num_key_heads=1, linear_num_value_heads=2, linear_key_head_dim=16, linear_value_head_dim=16,
    initializer_range=0.2, max_position_embeddings=512, bos_token_id=0, eos_token_id=1,
    rope_parameters=dict(rope_type="default", rope_theta=1e4, partial_rotary_factor=0.25, mrope_section=[2, 1, 1], mrope_interleaved=True),
)
DENSE = TEXT | dict(intermediate_size=40)
EXPERTS = TEXT | dict(num_hidden_layers=2, layer_types=["linear_attention", "full_attention"], num_experts=6, num_experts_per_tok=3,
                      moe_intermediate_size=16, shared_expert_intermediate_size=24)
MODELS = {
    "qwen3-5": (DENSE, Qwen3_5TextConfig, Qwen3_5ForCausalLM, Qwen3_5Config, Qwen3_5ForConditionalGeneration),
    "qwen3-5-moe": (EXPERTS, Qwen3_5MoeTextConfig, Qwen3_5MoeForCausalLM, Qwen3_5MoeConfig, Qwen3_5MoeForConditionalGeneration),
}
VISION = dict(depth=1, hidden_size=16, intermediate_size=16, num_heads=2, out_hidden_size=32, num_position_embeddings=16)
B, T = 2, 80
ROWS = [0, 1, 2, 15, 16, 40, 63, 64, 79]
"""Positions whose logits are kept."""


def drawn(model):
    """Matrices small, vectors moved away from round values; rounded to bfloat16, which is how they are stored."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            spread = 0.4 if p.dim() == 1 else 0.6 if "conv1d" in name else 0.25
            start = p.mean() if p.dim() == 1 else 0
            p.copy_(start + uniform(name, -spread, spread, *p.shape))
    return model.to(torch.bfloat16)


def header(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return {name: e["shape"] for name, e in json.loads(file.read(length)).items() if name != "__metadata__"}


def numbers(tensor):
    return [float(f"{x:.7g}") for x in tensor.flatten().tolist()]


def write(folder, text, TextConfig, Text, Config, Whole):
    torch.manual_seed(0)
    drawn(Text(TextConfig(**text))).save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    model = Text.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = (uniform("tokens", 0, 1, B, T) * text["vocab_size"]).long()
    with torch.no_grad():
        logits = model(tokens).logits[:, ROWS]
        greedy = model.generate(tokens[:1, :20], max_new_tokens=24, do_sample=False, eos_token_id=None, pad_token_id=0)
    config = Config(text_config=text, vision_config=VISION, image_token_id=2, video_token_id=3, vision_start_token_id=4,
                    vision_end_token_id=5)
    with tempfile.TemporaryDirectory() as whole:
        Whole(config).to(torch.bfloat16).save_pretrained(whole)
        multimodal = dict(config=json.loads(Path(whole, "config.json").read_text()), tensors=header(Path(whole, "model.safetensors")))
    vectors = dict(tokens=tokens.tolist(), rows=ROWS, logits=numbers(logits), greedy=greedy[0, 20:].tolist(), multimodal=multimodal)
    (folder / "vectors.json").write_text(json.dumps(vectors) + "\n")


for name, model in MODELS.items():
    write(Path(sys.argv[1], name), *model)
