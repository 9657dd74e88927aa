/**
 * @file For tests: the family written out token by token on plain arrays, from the equations of the architecture and
 * without the ops, chunks, batches and states of the real one. Float64, one row, slow.
 */
import {
  attentionOptions,
  glaKeyDim,
  hasMemory,
  isMoe,
  layerType,
  optionsOf,
  type QuasarConfig,
} from '../families/quasar/config.ts';
import { fixedMemoryBank } from '../layers/latent-memory.ts';
import { dot, heads, type Vector } from './plain.ts';
import { plainQuasarAttention } from './plain-quasar-attention.ts';
import { plainSiblingAttention } from './plain-sibling-attention.ts';

/** Values of each tensor by name. */
export type Weights = ReadonlyMap<string, ArrayLike<number>>;

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const silu = (x: number) => x * sigmoid(x);
const softplus = (x: number) => Math.log1p(Math.exp(x));

export interface PlainOutput {
  /** Of each position of one row. */
  logits: Vector[];
  memoryLoss: number;
}

export function plainModel(config: QuasarConfig, weights: Weights, tokens: Int32Array): PlainOutput {
  const { d_model: D, rms_norm_eps: eps, residual_scale: rho, n_heads: H } = config;
  const options = optionsOf(config);
  let memoryLoss = 0;
  const get = (name: string) => weights.get(name) as ArrayLike<number>;
  /** W x, W stored [out, in]. */
  const times = (name: string, x: Vector): Vector => {
    const w = Array.from(get(name));
    return Array.from({ length: w.length / x.length }, (_, o) => dot(w.slice(o * x.length, (o + 1) * x.length), x));
  };
  const plus = (x: Vector, bias: ArrayLike<number>) => x.map((v, i) => v + (bias[i] as number));
  const rms = (x: Vector, w: ArrayLike<number>, e = eps) => {
    const scale = 1 / Math.sqrt(dot(x, x) / x.length + e);
    return x.map((v, i) => v * scale * (w[i] as number));
  };
  const swiglu = (x: Vector, at: string) => {
    const up = times(`${at}.up.weight`, x);
    return times(
      `${at}.down.weight`,
      times(`${at}.gate.weight`, x).map((g, i) => silu(g) * (up[i] as number)),
    );
  };

  const { positional: mode, nope_after_position: cutoff } = options;
  const rotation = mode === 'nope' ? null : { theta: config.rope_theta, ...(mode === 'safe_nope' ? { cutoff } : {}) };
  const quasar = (rows: Vector[], at: string) => {
    const [heads, of] = [attentionOptions(config), (name: string) => get(`${at}.${name}`)];
    if (options.attention === 'quasar') return plainQuasarAttention(rows, heads, of, rotation);
    return plainSiblingAttention(rows, options.attention, heads, of, config.rope_theta);
  };

  /** S -> diag(eᵍ) S + k vᵀ per token. */
  function gla(rows: Vector[], at: string): Vector[] {
    const [E, K] = [config.head_dim, glaKeyDim(config)];
    const states = Array.from({ length: H }, () => new Float64Array(K * E));
    return rows.map((u) => {
      const project = (name: string) => heads(times(`${at}.${name}_proj.weight`, u), H);
      const [q, k, v, gate] = [project('q'), project('k'), project('v'), project('g')];
      const low = times(`${at}.gk_proj.0.weight`, u);
      const raw = plus(times(`${at}.gk_proj.1.weight`, low), get(`${at}.gk_proj.1.bias`));
      const decay = heads(
        raw.map((x) => -softplus(-x) / 16),
        H,
      );
      const out = states.flatMap((S, h) => {
        const [qh, kh, vh, gh] = [q[h], k[h], v[h], gate[h]] as [Vector, Vector, Vector, Vector];
        kh.forEach((ki, i) => {
          const kept = Math.exp(decay[h]?.[i] as number);
          vh.forEach((vj, j) => {
            S[i * E + j] = kept * (S[i * E + j] as number) + ki * vj;
          });
        });
        const o = vh.map((_, j) => qh.reduce((sum, qi, i) => sum + (qi * (S[i * E + j] as number)) / Math.sqrt(K), 0));
        return rms(o, get(`${at}.g_norm_swish_gate.weight`), 1e-5).map((x, i) => x * silu(gh[i] as number));
      });
      return times(`${at}.o_proj.weight`, out);
    });
  }

  /** Segments of 64 tokens write rows, tokens read them: after their segment is complete, or at once in the public form. */
  function memory(rows: Vector[], at: string): Vector[] {
    const [K, M, L] = [config.memory_slots, config.memory_dim, 64];
    const softmax = (x: Vector) => {
      const mass = x.map((z) => Math.exp(z - Math.max(...x)));
      return mass.map((z) => z / mass.reduce((a, b) => a + b));
    };
    const normed = rows.map((u) => {
      const mean = u.reduce((a, b) => a + b) / D;
      const centred = u.map((x) => x - mean);
      return plus(rms(centred, get(`${at}.memory.input_norm.weight`), 1e-5), get(`${at}.memory.input_norm.bias`));
    });
    const segments = Array.from({ length: Math.ceil(rows.length / L) }, (_, s) => {
      const mine = normed.slice(s * L, (s + 1) * L);
      const m = mine.map((h) =>
        plus(times(`${at}.memory.summary_proj.weight`, h), get(`${at}.memory.summary_proj.bias`)),
      );
      const weight = softmax(m.map((x) => dot(get(`${at}.memory.summary_query`), x) / Math.sqrt(M)));
      const Z = Array.from({ length: M }, (_, d) =>
        m.reduce((sum, x, t) => sum + (weight[t] as number) * (x[d] as number), 0),
      );
      const raw = mine.map((h) => plus(times(`${at}.memory.W_eta.weight`, h), get(`${at}.memory.W_eta.bias`)));
      return { Z, eta: sigmoid(Math.max(...raw.map(([x]) => x as number))), complete: mine.length === L };
    });
    const sharp = Math.exp(get(`${at}.memory.temperature`)[0] as number) / Math.sqrt(M);
    const channel = Array.from(get(`${at}.memory.eta_channels`), sigmoid);
    const isPublic = options.memory_mode === 'compat';
    const bank = options.memory_bank === 'learned' ? get(`${at}.memory.M0`) : fixedMemoryBank(K, M);
    const first = Array.from({ length: K }, (_, k) =>
      Array.from({ length: M }, (_, d) => (isPublic ? 0 : (bank[k * M + d] as number))),
    );
    const address = (Z: Vector, from: Vector[]) => softmax(from.map((row) => sharp * dot(Z, row)));
    let state = first;
    const states: Vector[][] = [];
    if (isPublic) {
      // Gate times a memory of zeros is zero, so only what is written remains.
      const S = segments.length;
      state = first.map((_, k) =>
        channel.map((_, d) =>
          segments.reduce((sum, s) => sum + ((address(s.Z, first)[k] as number) * s.eta * (s.Z[d] as number)) / S, 0),
        ),
      );
    }
    for (const { Z, eta, complete } of segments) {
      states.push(state);
      if (isPublic || !complete) continue;
      const a = address(Z, state);
      state = state.map((row, k) =>
        row.map((x, d) => x + (a[k] as number) * eta * (channel[d] as number) * ((Z[d] as number) - x)),
      );
    }
    const change = state.map((row, k) => row.map((x, d) => x - (first[k]?.[d] as number)));
    memoryLoss += (0.01 * change.reduce((sum, row) => sum + dot(row, row), 0)) / segments.length;
    for (const x of state)
      for (const y of state) memoryLoss += (0.1 / K ** 2) * (dot(x, y) ** 2 / (dot(x, x) * dot(y, y)));
    return rows.map((u, t) => {
      const from = states[Math.floor(t / L)] as Vector[];
      const Q = times(`${at}.memory.W_qkv_mem.weight`, normed[t] as Vector).slice(2 * M);
      const weight = softmax(from.map((row) => 2 * dot(Q, row)));
      const C = channel.map((_, d) =>
        from.reduce((sum, row, k) => sum + (weight[k] as number) * (row[d] as number), 0),
      );
      const [gate] = plus(times(`${at}.W_alpha.weight`, u), get(`${at}.W_alpha.bias`));
      return times(`${at}.C_to_hidden.weight`, C).map((x) => sigmoid(gate as number) * x);
    });
  }

  function mixture(x: Vector, at: string, layer: number): Vector {
    const { num_routed_experts: X, top_k: K, num_shared_experts: shared, bigmac_r: r } = config;
    const [b, w] = [D * r, config.routed_expert_size / r];
    const logits = times(`${at}.router.router_weights`, x);
    const bias = get('model.all_moe_bias');
    const score = logits.map((z, e) => sigmoid(z) + (bias[(layer - config.dense_input_layers) * X + e] as number));
    const chosen = [...score.keys()].sort((i, j) => (score[j] as number) - (score[i] as number)).slice(0, K);
    const mass = chosen.map((e) => Math.exp(logits[e] as number));
    const total = mass.reduce((sum, m) => sum + m, 0);
    const low = times(`${at}.w_down_proj.weight`, x);
    const mixed = new Array<number>(b).fill(0);
    for (const [rank, e] of chosen.entries()) {
      const w12 = Array.from(get(`${at}.experts_w12`)).slice(e * b * 2 * w, (e + 1) * b * 2 * w); // [b, 2w]
      const w3 = Array.from(get(`${at}.experts_w3`)).slice(e * w * b, (e + 1) * w * b); // [w, b]
      const inner = Array.from({ length: 2 * w }, (_, o) =>
        low.reduce((s, v, i) => s + v * (w12[i * 2 * w + o] as number), 0),
      );
      const hidden = inner.slice(0, w).map((g, i) => silu(g) * (inner[w + i] as number));
      for (let o = 0; o < b; o++) {
        const y = hidden.reduce((sum, v, i) => sum + v * (w3[i * b + o] as number), 0);
        mixed[o] = (mixed[o] as number) + ((mass[rank] as number) / total) * y;
      }
    }
    const routed = times(`${at}.w_up_proj.weight`, mixed).map((v) => v * options.route_scale);
    if (shared === 0) return routed;
    const together = Array.from({ length: shared }, (_, s) => swiglu(x, `${at}.shared_experts.${s}`));
    return routed.map((v, i) => 0.5 * (v + together.reduce((sum, y) => sum + (y[i] as number), 0)));
  }

  const table = Array.from(get('model.embed_tokens.weight'));
  const embedNorm = get('model.embed_norm.weight');
  const anchor = Array.from(tokens, (id) => rms(table.slice(id * D, (id + 1) * D), embedNorm));
  let h = anchor;
  for (let loop = 0; loop < config.num_loops; loop++) {
    for (let layer = 0; layer < config.n_layers; layer++) {
      const at = `model.layers.${layer}`;
      const norm = (x: Vector, name: string) => rms(x, get(`${at}.${name}.weight`));
      const inject = () => {
        const strength = sigmoid(get(`${at}.injection_gate`)[0] as number);
        h = h.map((x, t) => x.map((v, i) => v + strength * (anchor[t]?.[i] as number)));
      };
      if (config.use_looped_injection && options.injection_site === 'layer_input') inject();
      const u = h.map((x) => norm(x, 'ln1'));
      let a = layerType(config, layer) === 'quasar' ? quasar(u, `${at}.attn`) : gla(u, `${at}.attn`);
      if (hasMemory(config, layer)) {
        const read = memory(u, at);
        a = a.map((x, t) => plus(x, read[t] as Vector));
      }
      h = h.map((x, t) =>
        plus(
          x,
          norm(a[t] as Vector, 'ln1_out').map((v) => rho * v),
        ),
      );
      h = h.map((x) => {
        const w = norm(x, 'ln2');
        const f = isMoe(config, layer) ? mixture(w, `${at}.ffn`, layer) : swiglu(w, `${at}.ffn`);
        return plus(
          x,
          norm(f, 'ln2_out').map((v) => rho * v),
        );
      });
      if (config.use_looped_injection && options.injection_site === 'loop_end' && layer === config.n_layers - 1)
        inject();
    }
  }
  return { logits: h.map((x) => times('lm_head.weight', rms(x, get('model.norm.weight')))), memoryLoss };
}
