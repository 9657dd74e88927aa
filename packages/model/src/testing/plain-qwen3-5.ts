/**
 * @file For tests: the qwen3_5 family written out token by token on plain arrays, from its equations and without the ops,
 * chunks, batches and states of the real one. Float64, one row, slow.
 */
import { expertsOf, type Qwen35Config } from '../families/qwen3-5/config.ts';
import { dot, type Vector } from './plain.ts';
import type { Weights } from './plain-model.ts';

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const silu = (x: number) => x * sigmoid(x);
const plus = (a: Vector, b: ArrayLike<number>) => a.map((x, i) => x + (b[i] as number));
const cut = (x: Vector, width: number): Vector[] =>
  Array.from({ length: x.length / width }, (_, i) => x.slice(i * width, (i + 1) * width));

/** Logits of each position of one row. */
export function plainQwenLogits(config: Qwen35Config, weights: Weights, tokens: Int32Array): Vector[] {
  const { hidden_size: D, rms_norm_eps: eps } = config;
  const get = (name: string) => weights.get(name) as ArrayLike<number>;
  /** W x + b, W stored [out, in]. */
  const times = (name: string, x: Vector): Vector => {
    const w = Array.from(get(`${name}.weight`));
    const y = cut(w, x.length).map((row) => dot(row, x));
    return weights.has(`${name}.bias`) ? plus(y, get(`${name}.bias`)) : y;
  };
  const rms = (x: Vector, w: (i: number) => number) => {
    const factor = 1 / Math.sqrt(dot(x, x) / x.length + eps);
    return x.map((v, i) => v * factor * w(i));
  };
  const centred = (x: Vector, name: string) => rms(x, (i) => 1 + (get(`${name}.weight`)[i] as number));

  function deltaNet(rows: Vector[], at: string): Vector[] {
    const { linear_num_key_heads: Hk, linear_num_value_heads: H, linear_conv_kernel_dim: W } = config;
    const { linear_key_head_dim: dk, linear_value_head_dim: dv } = config;
    const joined = rows.map((u) => times(`${at}.in_proj_qkv`, u));
    const kernel = get(`${at}.conv1d.weight`);
    const convolved = joined.map((row, t) =>
      row.map((_, c) => {
        let sum = 0;
        for (let j = 0; j < W; j++) sum += (kernel[c * W + j] as number) * (joined[t - W + 1 + j]?.[c] ?? 0);
        return silu(sum);
      }),
    );
    const unit = (x: Vector) => x.map((v) => v / Math.sqrt(dot(x, x) + 1e-6));
    const states = Array.from({ length: H }, () => new Float64Array(dk * dv));
    return rows.map((u, t) => {
      const row = convolved[t] as Vector;
      const [q, k] = [cut(row.slice(0, Hk * dk), dk), cut(row.slice(Hk * dk, 2 * Hk * dk), dk)];
      const v = cut(row.slice(2 * Hk * dk), dv);
      const [z, b, a] = [
        cut(times(`${at}.in_proj_z`, u), dv),
        times(`${at}.in_proj_b`, u),
        times(`${at}.in_proj_a`, u),
      ];
      const out = states.flatMap((S, h) => {
        const shared = Math.floor((h * Hk) / H);
        const [qh, kh, vh] = [unit(q[shared] as Vector), unit(k[shared] as Vector), v[h] as Vector];
        const x = (a[h] as number) + (get(`${at}.dt_bias`)[h] as number);
        const kept = Math.exp(-Math.exp(get(`${at}.A_log`)[h] as number) * Math.log1p(Math.exp(x)));
        for (let i = 0; i < S.length; i++) S[i] = kept * (S[i] as number);
        const rest = vh.map((x, j) => x - kh.reduce((sum, ki, i) => sum + ki * (S[i * dv + j] as number), 0));
        kh.forEach((ki, i) => {
          for (let j = 0; j < dv; j++)
            S[i * dv + j] = (S[i * dv + j] as number) + sigmoid(b[h] as number) * ki * (rest[j] as number);
        });
        const o = vh.map((_, j) =>
          qh.reduce((sum, qi, i) => sum + (qi * (S[i * dv + j] as number)) / Math.sqrt(dk), 0),
        );
        return rms(o, (i) => (get(`${at}.norm.weight`)[i] as number) * silu(z[h]?.[i] as number));
      });
      return times(`${at}.out_proj`, out);
    });
  }

  function attention(rows: Vector[], at: string): Vector[] {
    const { num_attention_heads: H, num_key_value_heads: Hk, head_dim: E, rope_parameters: rope } = config;
    const turns = E * rope.partial_rotary_factor;
    const turned = (x: Vector, position: number) =>
      x.map((v, i) => {
        if (i >= turns) return v;
        const j = i % (turns / 2);
        const angle = position * rope.rope_theta ** ((-2 * j) / turns);
        const [a, b] = [x[j] as number, x[j + turns / 2] as number];
        return i < turns / 2 ? a * Math.cos(angle) - b * Math.sin(angle) : b * Math.cos(angle) + a * Math.sin(angle);
      });
    const keys = rows.map((u, t) => cut(times(`${at}.k_proj`, u), E).map((k) => turned(centred(k, `${at}.k_norm`), t)));
    const values = rows.map((u) => cut(times(`${at}.v_proj`, u), E));
    return rows.map((u, t) => {
      const out = cut(times(`${at}.q_proj`, u), 2 * E).flatMap((both, h) => {
        const [q, gate] = [turned(centred(both.slice(0, E), `${at}.q_norm`), t), both.slice(E)];
        const shared = Math.floor((h * Hk) / H);
        const scores = keys.slice(0, t + 1).map((k) => Math.exp(dot(q, k[shared] as Vector) / Math.sqrt(E)));
        const total = scores.reduce((sum, x) => sum + x, 0);
        return gate.map((g, i) => {
          const mixed = scores.reduce((sum, x, s) => sum + x * (values[s]?.[shared]?.[i] as number), 0);
          return (sigmoid(g) * mixed) / total;
        });
      });
      return times(`${at}.o_proj`, out);
    });
  }

  const swiglu = (x: Vector, at: string) => {
    const up = times(`${at}.up_proj`, x);
    return times(
      `${at}.down_proj`,
      times(`${at}.gate_proj`, x).map((g, i) => silu(g) * (up[i] as number)),
    );
  };

  function mixture(x: Vector, at: string): Vector {
    const experts = expertsOf(config);
    if (!experts) return swiglu(x, at);
    const { chosen, width: F } = experts;
    const likelihood = times(`${at}.gate`, x).map(Math.exp);
    const best = [...likelihood.keys()]
      .sort((i, j) => (likelihood[j] as number) - (likelihood[i] as number))
      .slice(0, chosen);
    const total = best.reduce((sum, e) => sum + (likelihood[e] as number), 0);
    const share = sigmoid(times(`${at}.shared_expert_gate`, x)[0] as number);
    const out = swiglu(x, `${at}.shared_expert`).map((y) => share * y);
    for (const e of best) {
      const w12 = cut(Array.from(get(`${at}.experts_w12`)), 2 * F).slice(e * D, (e + 1) * D); // [D, 2F]
      const w3 = cut(Array.from(get(`${at}.experts_w3`)), D).slice(e * F, (e + 1) * F); // [F, D]
      const inner = Array.from({ length: 2 * F }, (_, o) =>
        x.reduce((sum, v, i) => sum + v * (w12[i]?.[o] as number), 0),
      );
      const hidden = inner.slice(0, F).map((g, i) => silu(g) * (inner[F + i] as number));
      const weight = (likelihood[e] as number) / total;
      for (let d = 0; d < D; d++)
        out[d] = (out[d] as number) + weight * hidden.reduce((sum, v, i) => sum + v * (w3[i]?.[d] as number), 0);
    }
    return out;
  }

  let h = Array.from(tokens, (id) => Array.from(get('model.embed_tokens.weight')).slice(id * D, (id + 1) * D));
  config.layer_types.forEach((type, layer) => {
    const at = `model.layers.${layer}`;
    const u = h.map((x) => centred(x, `${at}.input_layernorm`));
    const mixed = type === 'linear_attention' ? deltaNet(u, `${at}.linear_attn`) : attention(u, `${at}.self_attn`);
    h = h.map((x, t) => plus(x, mixed[t] as Vector));
    h = h.map((x) => plus(x, mixture(centred(x, `${at}.post_attention_layernorm`), `${at}.mlp`)));
  });
  const head = config.tie_word_embeddings ? 'model.embed_tokens' : 'lm_head';
  return h.map((x) => times(head, centred(x, 'model.norm')));
}
