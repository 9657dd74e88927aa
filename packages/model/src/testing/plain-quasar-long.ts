/**
 * @file For tests: the quasar_long family written out token by token on plain arrays, from the equations of the architecture
 * (§2.2, §3.2-3.3, §3.6, §3.7, §3.9.2, §3.12) and without the ops, chunks, caches and states of the real one. Float64, one
 * row, slow.
 */
import {
  branchOf,
  engramOptions,
  optionsOf,
  type QuasarLongConfig,
  quasarOptions,
} from '../families/quasar-long/config.ts';
import { dot, heads, type Vector } from './plain.ts';
import { plainEngram } from './plain-engram.ts';
import { plainQuasarAttention } from './plain-quasar-attention.ts';

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const silu = (x: number) => x * sigmoid(x);
const softplus = (x: number) => Math.log1p(Math.exp(x));
const sum = (x: Vector) => x.reduce((a, b) => a + b, 0);

/** Logits of each position of one row. */
export function plainQuasarLong(
  config: QuasarLongConfig,
  weights: ReadonlyMap<string, ArrayLike<number>>,
  tokens: Int32Array,
): Vector[] {
  const { hidden_size: D, num_attention_heads: H, num_key_value_heads: Hk, head_dim: E, rms_norm_eps: eps } = config;
  const options = optionsOf(config);
  const get = (name: string) => weights.get(name) as ArrayLike<number>;
  const number = (name: string) => get(name)[0] as number;
  /** W x, W stored [out, in]. */
  const times = (name: string, x: Vector): Vector => {
    const w = Array.from(get(`${name}.weight`));
    return Array.from({ length: w.length / x.length }, (_, o) => dot(w.slice(o * x.length, (o + 1) * x.length), x));
  };
  const plus = (x: Vector, y: ArrayLike<number>) => x.map((v, i) => v + (y[i] as number));
  const scaled = (x: Vector, s: number) => x.map((v) => s * v);
  const unit = (x: Vector) => scaled(x, 1 / Math.sqrt(dot(x, x) / x.length + eps));
  const rms = (x: Vector, name: string) => unit(x).map((v, i) => v * (get(`${name}.weight`)[i] as number));
  const swiglu = (x: Vector, at: string) => {
    const up = times(`${at}.up_proj`, x);
    return times(
      `${at}.down_proj`,
      times(`${at}.gate_proj`, x).map((g, i) => silu(g) * (up[i] as number)),
    );
  };

  /** Of safe NoPE: nothing turns from `nope_after_position` on, nor beyond the first channels of a head. */
  function turned(x: Vector, position: number): Vector {
    const turns = !config.use_nope || (config.long_context_mode !== 'nope' && position < config.nope_after_position);
    if (!turns) return x;
    const R = E * config.partial_rotary_factor;
    return x.map((v, i) => {
      if (i >= R) return v;
      const j = i % (R / 2);
      const angle = position * config.rope_theta ** ((-2 * j) / R);
      const [a, b] = [x[j] as number, x[j + R / 2] as number];
      return i < R / 2 ? a * Math.cos(angle) - b * Math.sin(angle) : b * Math.cos(angle) + a * Math.sin(angle);
    });
  }

  /** Heads of one token: queries, and keys and values once per query head. */
  function attentionHeads(u: Vector, position: number, at: string) {
    const parts = heads(times(`${at}.query_key_value`, u), H + 2 * Hk);
    const normed = (x: Vector, name: string) => turned(rms(x, `${at}.${name}_layernorm`), position);
    const of = (h: number) => H + Math.floor((h * Hk) / H);
    return Array.from({ length: H }, (_, h) => ({
      q: normed(parts[h] as Vector, 'query'),
      k: normed(parts[of(h)] as Vector, 'key'),
      v: parts[of(h) + Hk] as Vector,
    }));
  }

  function softmaxAttention(rows: Vector[], at: string): Vector[] {
    const all = rows.map((u, t) => attentionHeads(u, t, at));
    return all.map((mine, t) =>
      times(
        `${at}.dense`,
        mine.flatMap(({ q }, h) => {
          const seen = all.slice(0, t + 1).map((other) => other[h] as (typeof mine)[number]);
          const mass = seen.map(({ k }) => Math.exp(dot(q, k) / Math.sqrt(E)));
          return q.map((_, j) => sum(seen.map(({ v }, i) => (mass[i] as number) * (v[j] as number))) / sum(mass));
        }),
      ),
    );
  }

  /** S -> eᵍ S + k vᵀ, g by head and layer. */
  function gla(rows: Vector[], at: string, layer: number): Vector[] {
    const L = config.num_hidden_layers;
    const states = Array.from({ length: H }, () => new Float64Array(E * E));
    const perGroup = D / options.hybrid_gla_group_norm_size;
    return rows.map((u, t) => {
      const o = attentionHeads(u, t, at).flatMap(({ q, k, v }, h) => {
        // Slopes of powers of two, as float32 holds them.
        const slope = 2 ** ((-8 * (h + 1)) / H) * (1 - Math.max(layer - 1, 0) / (L - 1) + 1e-5);
        const kept = Math.exp(Math.fround(-slope));
        const S = states[h] as Float64Array;
        for (let i = 0; i < E; i++)
          for (let j = 0; j < E; j++)
            S[i * E + j] = kept * (S[i * E + j] as number) + (k[i] as number) * (v[j] as number);
        return v.map((_, j) => sum(q.map((qi, i) => (qi * (S[i * E + j] as number)) / Math.sqrt(E))));
      });
      const gate = times(`${at}.g_proj`, u);
      const normed = heads(o, D / perGroup).flatMap(unit);
      const y = normed.map((x, i) => x * (get(`${at}.g_norm.weight`)[i] as number) * sigmoid(gate[i] as number));
      return times(`${at}.dense`, y);
    });
  }

  /** Chosen slots forget and take up a share of the token; a query reads by softmax. */
  function raven(rows: Vector[], at: string): Vector[] {
    const [M, chosen] = [config.hybrid_raven_slots, config.hybrid_raven_topk];
    const zeros = () => Array.from({ length: H }, () => Array.from({ length: M }, () => new Array<number>(E).fill(0)));
    const [K, V] = [zeros(), zeros()];
    const move = (slot: Vector, to: Vector, share: number) =>
      slot.forEach((x, i) => {
        slot[i] = (1 - share) * x + share * (to[i] as number);
      });
    return rows.map((u) => {
      const part = (name: string, count: number) => heads(times(`${at}.${name}_proj`, u), count);
      const [q, k, v, r] = [part('q', H), part('k', Hk), part('v', Hk), part('r', H)];
      const a = times(`${at}.a_proj`, u);
      const o = q.flatMap((raw, h) => {
        const own = Math.floor((h * Hk) / H);
        const query = rms(raw.map(silu), `${at}.q_norm`);
        const key = rms((k[own] as Vector).map(silu), `${at}.k_norm`);
        const value = (v[own] as Vector).map(silu);
        const p = (r[h] as Vector).map(sigmoid);
        const best = [...p.keys()].sort((i, j) => (p[j] as number) - (p[i] as number)).slice(0, chosen);
        const total = sum(best.map((m) => p[m] as number)) + 1e-9;
        const rate =
          Math.exp(get(`${at}.A_log`)[h] as number) * softplus((a[h] as number) + (get(`${at}.dt_bias`)[h] as number));
        for (const m of best) {
          const share = 1 - Math.exp((-rate * (p[m] as number)) / total);
          move(K[h]?.[m] as Vector, key, share);
          move(V[h]?.[m] as Vector, value, share);
        }
        const mass = (K[h] as Vector[]).map((slot) => Math.exp(dot(slot, query)));
        return value.map(
          (_, j) => sum((V[h] as Vector[]).map((slot, m) => (mass[m] as number) * (slot[j] as number))) / sum(mass),
        );
      });
      return times(`${at}.o_proj`, rms(o.map(silu), `${at}.g_norm`));
    });
  }

  function branchOutput(u: Vector[], layer: number, at: string): Vector[] {
    const branch = branchOf(config, layer);
    if (branch === 'raven') return raven(u, `${at}.raven_attention`);
    if (branch === 'gla') return gla(u, `${at}.gla_attention`, layer);
    const of = (name: string) => get(`${at}.quasar_attention.${name}`);
    return plainQuasarAttention(u, quasarOptions(config), of, null);
  }

  function hybrid(u: Vector[], layer: number, at: string): Vector[] {
    const softmax = softmaxAttention(u, at);
    if (branchOf(config, layer) === null || config.hybrid_eval_mode === 'gqa_only') return softmax;
    const isAlone = config.hybrid_replacement_mode !== 'add' || config.hybrid_eval_mode.endsWith('_forced');
    const rank = options.hybrid_output_adapter_rank;
    return branchOutput(u, layer, at).map((branch, t) => {
      const gained = scaled(branch, number(`${at}.branch_global_output_gain`));
      const y = gained.map((x, i) => x * (get(`${at}.branch_output_channel_gain`)[i] as number));
      const low = rank > 0 ? times(`${at}.branch_output_adapter_down`, y) : [];
      const adapted =
        rank > 0
          ? plus(y, scaled(times(`${at}.branch_output_adapter_up`, low), options.hybrid_output_adapter_alpha / rank))
          : y;
      if (isAlone) return adapted;
      return plus(softmax[t] as Vector, scaled(adapted, sigmoid(number(`${at}.replace_alpha_raw`))));
    });
  }

  function mixture(x: Vector, at: string): Vector {
    const { num_experts: X, num_experts_per_tok: K, moe_intermediate_size: F, n_group: G } = config;
    const p = times(`${at}.gate`, x).map(sigmoid);
    const score = p.map((value, e) => value + (get(`${at}.gate.expert_bias`)[e] as number));
    const groups = heads(score, G).map((group) => sum(group.toSorted((a, b) => b - a).slice(0, 2)));
    const byGroup = [...groups.keys()].sort((i, j) => (groups[j] as number) - (groups[i] as number));
    const kept = new Set(byGroup.slice(0, config.topk_group));
    const chosen = [...score.keys()]
      .filter((e) => kept.has(Math.floor(e / (X / G))))
      .sort((i, j) => (score[j] as number) - (score[i] as number))
      .slice(0, K);
    const total = sum(chosen.map((e) => p[e] as number)) + 1e-20;
    let y = config.num_shared_experts > 0 ? swiglu(x, `${at}.shared_experts`) : new Array<number>(D).fill(0);
    for (const e of chosen) {
      const w12 = Array.from(get(`${at}.experts_w12`)).slice(e * D * 2 * F, (e + 1) * D * 2 * F); // [D, 2F]
      const w3 = Array.from(get(`${at}.experts_w3`)).slice(e * F * D, (e + 1) * F * D); // [F, D]
      const inner = Array.from({ length: 2 * F }, (_, o) => sum(x.map((v, i) => v * (w12[i * 2 * F + o] as number))));
      const hidden = inner.slice(0, F).map((g, i) => silu(g) * (inner[F + i] as number));
      const out = x.map((_, o) => sum(hidden.map((v, i) => v * (w3[i * D + o] as number))));
      y = plus(y, scaled(out, (config.routed_scaling_factor * (p[e] as number)) / total));
    }
    return y;
  }

  const table = Array.from(get('model.word_embeddings.weight'));
  const anchor = Array.from(tokens, (id) => table.slice(id * D, (id + 1) * D));
  let h = anchor;
  for (let loop = 0; loop < config.num_loops; loop++) {
    for (let layer = 0; layer < config.num_hidden_layers; layer++) {
      const at = `model.layers.${layer}`;
      if (options.use_parcae_loop_stabilizer) {
        const kept = Math.exp(-softplus(number(`${at}.parcae_decay_raw`)));
        const drawn = sigmoid(number(`${at}.parcae_anchor_gate`));
        h = h.map((x, t) => plus(scaled(x, kept), scaled(anchor[t] as Vector, drawn)));
      }
      if (config.use_looped_injection) {
        const strength = sigmoid(number(`${at}.injection_gate`));
        h = h.map((x, t) => plus(x, scaled(anchor[t] as Vector, strength)));
      }
      if (config.engram_layers.includes(layer)) {
        const found = plainEngram(h, tokens, engramOptions(config), (name) => get(`${at}.engram.${name}`));
        h = h.map((x, t) => plus(x, scaled(found[t] as Vector, config.engram_residual_scale)));
      }
      const attended = hybrid(
        h.map((x) => rms(x, `${at}.input_layernorm`)),
        layer,
        `${at}.attention`,
      );
      h = h.map((x, t) => plus(x, attended[t] as Vector));
      h = h.map((x) => {
        const w = rms(x, `${at}.post_attention_layernorm`);
        return plus(x, layer < config.first_k_dense_replace ? swiglu(w, `${at}.mlp`) : mixture(w, `${at}.mlp`));
      });
    }
  }
  return h.map((x) => times('lm_head', rms(x, 'model.norm')));
}
