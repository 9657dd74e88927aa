/**
 * @file For tests: one layer of Quasar attention in every variant, token by token on plain arrays, from the equations of the
 * architecture (§3.5.2, §3.5.4, §3.5.8) and without the ops of the real one. Float64, one row, slow.
 */
import type { QuasarAttentionOptions } from '../layers/quasar-attention.ts';
import { dot, heads, type Vector } from './plain.ts';

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const silu = (x: number) => x * sigmoid(x);
const softplus = (x: number) => Math.log1p(Math.exp(x));
const within = (x: number, low: number, high: number) => (Number.isNaN(x) ? 0 : Math.min(Math.max(x, low), high));

/** Numbers of a token and head before its rule is applied. */
interface Write {
  erase: number;
  write: number;
  /** What is left of each key channel of the state. */
  kept: Vector;
}

/**
 * @param rows inputs of a document, in order
 * @param get values of a weight by its name after the prefix
 * @param rotation its base, and the position from which on nothing turns; null: none
 */
export function plainQuasarAttention(
  rows: Vector[],
  options: Omit<QuasarAttentionOptions, 'at' | 'rotates'>,
  get: (name: string) => ArrayLike<number>,
  rotation: { theta: number; cutoff?: number } | null,
): Vector[] {
  const { heads: H, headDim: E, convSize: W, isGuarded, quasar_variant: variant } = options;
  const isFork = variant === 'fork_v1';
  const isUnit = variant === 'exact' ? options.qk_l2norm : !isFork;
  /** W x, W stored [out, in]. */
  const times = (name: string, x: Vector): Vector => {
    const w = Array.from(get(name));
    return Array.from({ length: w.length / x.length }, (_, o) => dot(w.slice(o * x.length, (o + 1) * x.length), x));
  };
  const inputs = rows.map((u) => {
    if (!isGuarded) return u;
    const cut = u.map((x) => within(x, -60, 60));
    return cut.map((x) => x / Math.sqrt(dot(cut, cut) / cut.length + 1e-6));
  });
  const projected = (name: string) => {
    const x = inputs.map((u) => times(`${name}_proj.weight`, u));
    if (W === 0) return x.map((row) => row.map(silu));
    const w = get(`${name}_conv1d.weight`);
    return x.map((row, t) =>
      row.map((_, c) => {
        let sum = 0;
        for (let j = 0; j < W; j++) sum += (w[c * W + j] as number) * (x[t - W + 1 + j]?.[c] ?? 0);
        return silu(sum);
      }),
    );
  };
  const turn = (x: Vector, position: number) =>
    x.map((own, i) => {
      if (rotation === null || position >= (rotation.cutoff ?? Number.POSITIVE_INFINITY)) return own;
      const j = i % (E / 2);
      const angle = position * rotation.theta ** ((-2 * j) / E);
      const [a, b] = [x[j] as number, x[j + E / 2] as number];
      return i < E / 2 ? a * Math.cos(angle) - b * Math.sin(angle) : b * Math.cos(angle) + a * Math.sin(angle);
    });
  const unit = (x: Vector) => (isUnit ? x.map((value) => value / Math.max(Math.sqrt(dot(x, x)), 1e-12)) : x);

  /** −log of what a channel keeps, architecture §3.5.8: e^A softplus(f + dt). */
  const rate = (h: number, f: number, channel: number) =>
    Math.exp(get('A_log')[h] as number) * softplus(f + (get('dt_bias')[channel] as number));
  function writeOf(u: Vector, k: Vector, h: number): Write {
    const lambda = dot(k, k);
    const none = new Array<number>(E).fill(1);
    const channelDecay = () => {
      const f = heads(times('f_proj.weight', u), H)[h] as Vector;
      return f.map((x, c) => Math.exp(-rate(h, x, h * E + c)));
    };
    if (isFork) {
      const alpha = (1 - Math.exp(-softplus(get('beta_log')[h] as number) * lambda)) / (lambda + 1e-8);
      return { erase: alpha, write: alpha, kept: none };
    }
    const z = () => times('b_proj.weight', u)[h] as number;
    if (variant === 'preview_chunk') {
      const length = within(lambda, 0.1, 10);
      const channels = none.map((_, c) => 1 - Math.exp(-rate(h, sigmoid(z()), h * E + c)));
      const mean = channels.reduce((sum, x) => sum + x / (length + 1e-6), 0) / E;
      const alpha = within(mean, 1e-4, 0.95);
      return { erase: alpha, write: alpha, kept: none };
    }
    if (variant === 'preview_recurrent') {
      const length = Math.max(lambda, 0.05);
      const alpha = (1 - Math.exp(-sigmoid(z()) * length)) / (length + 1e-8);
      return { erase: alpha, write: alpha, kept: channelDecay() };
    }
    const beta = {
      softplus: () => softplus(z()),
      sigmoid: () => sigmoid(z()),
      static: () => softplus(get('beta_log')[h] as number),
    }[options.quasar_beta]();
    const phi = (x: number) => -Math.expm1(-beta * x) / x;
    if (options.quasar_decay !== 'scalar')
      return { erase: phi(lambda), write: phi(lambda), kept: options.quasar_decay === 'none' ? none : channelDecay() };
    const gamma = rate(h, times('f_proj.weight', u)[h] as number, h);
    return { erase: phi(lambda), write: phi(lambda + gamma), kept: none.map(() => Math.exp(-beta * gamma)) };
  }

  const [q, k, v] = [projected('q'), projected('k'), projected('v')];
  const states = Array.from({ length: H }, () => new Float64Array(E * E));
  return inputs.map((u, t) => {
    const gate = times('g_proj.1.weight', times('g_proj.0.weight', u)).map(
      (x, i) => x + (get('g_proj.1.bias')[i] as number),
    );
    const out = states.flatMap((S, h) => {
      const part = (x: Vector[]) => heads(x[t] as Vector, H)[h] as Vector;
      const qh = unit(turn(part(q), t)).map((x) => (isFork ? x : x / Math.sqrt(E)));
      const kh = unit(turn(part(k), t));
      const vh = part(v);
      const { erase, write, kept } = writeOf(u, kh, h);
      for (let i = 0; i < E * E; i++) S[i] = (S[i] as number) * (kept[Math.floor(i / E)] as number);
      const read = (x: Vector, j: number) => x.reduce((sum, xi, i) => sum + xi * (S[i * E + j] as number), 0);
      const change = vh.map((x, j) => write * x - erase * read(kh, j));
      for (let i = 0; i < E; i++)
        for (let j = 0; j < E; j++) S[i * E + j] = (S[i * E + j] as number) + (kh[i] as number) * (change[j] as number);
      const guard = (x: number, low: number, high: number) => (isGuarded ? within(x, low, high) : x);
      const o = vh.map((_, j) => guard(read(qh, j), -1e4, 1e4));
      const gh = heads(gate, H)[h] as Vector;
      const norm = 1 / Math.sqrt(dot(o, o) / E + options.normEps);
      return o.map(
        (x, j) => x * norm * guard(get('o_norm.weight')[j] as number, 0, 4) * sigmoid(guard(gh[j] as number, -30, 30)),
      );
    });
    return times('o_proj.weight', out);
  });
}
