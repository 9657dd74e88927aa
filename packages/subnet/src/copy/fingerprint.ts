/**
 * @file What a checkpoint computes, in a few kilobytes: the layers of copy detection that need a forward pass.
 *
 * `readings`: what every layer adds to the residual stream for a few secret tokens, read out by rows of the model's own
 * head. The tokenizer is locked, so the vocabulary is the one basis that nobody can turn: permuted experts, heads,
 * channels or hidden units, weights moved between a norm and its projection, scales or signs moved between two matrices,
 * even a rotated residual stream leave them as they are, but for rounding.
 * `activations`: mean residual stream on public tokens, in its own coordinates (subnet.md section 5, layer 4).
 * `behaviour`: next-token distributions at secret positions of secret tokens (subnet.md section 19, copy probe of TEU).
 */
import { Rng } from '@quasar/base';
import type { Engine } from '@quasar/infer';
import { forward, type ModelConfig, type Parameters, vocabularyOperands } from '@quasar/model';
import { embedding, headTopK, scope, Tensor } from '@quasar/tensor';
import { packDirections, packIds, packProbabilities } from './packed.ts';
import { derive } from './secret.ts';

/** Sequences of tokens, row-major. */
interface Tokens {
  B: number;
  T: number;
  tokens: Int32Array;
}

export interface FingerprintProbes {
  /** A layer's work is read at the last token of each. */
  short: Tokens;
  /** Rows of the head that read. */
  readouts: Int32Array;
  public: Tokens;
  behaviour: Tokens;
  /** Rows b·T + t of `behaviour`. */
  positions: Int32Array;
}

export interface Fingerprint {
  /** Per layer: [sequences, readouts], each sequence by its direction (`packed.ts`). */
  readings: string[];
  /** Of the first 128 channels after a few layers, by their directions. */
  activations: string[];
  behaviour: {
    /** Top ids of every position, and their probabilities. */
    ids: string;
    probabilities: string;
  };
}

export const READOUTS = 24;
/** Ids kept of a position; all others together are one more outcome. */
export const BEHAVIOUR_TOP = 32;
export const BEHAVIOUR_POSITIONS = 64;
export const ACTIVATION_CHANNELS = 128;
const SHORT = { B: 12, T: 8 };
const PUBLIC = { B: 5, T: 64 };
const BEHAVIOUR = { B: 16, T: 128 };

/** @param secret of `readSecret`; equal secrets give equal probes */
export function fingerprintProbes(secret: string, vocabulary: number): FingerprintProbes {
  const rng = (use: string) => new Rng(derive(secret, use));
  const places = rng('behaviour positions');
  const perText = BEHAVIOUR_POSITIONS / BEHAVIOUR.B;
  return {
    short: drawn(SHORT, vocabulary, rng('short')),
    readouts: drawn({ B: 1, T: READOUTS }, vocabulary, rng('readouts')).tokens,
    public: drawn(PUBLIC, vocabulary, new Rng('activation fingerprint')),
    behaviour: drawn(BEHAVIOUR, vocabulary, rng('behaviour')),
    positions: Int32Array.from({ length: BEHAVIOUR_POSITIONS }, (_, i) => {
      // Not at the very start, where every model knows as little.
      return Math.floor(i / perText) * BEHAVIOUR.T + places.int(BEHAVIOUR.T / 8, BEHAVIOUR.T - 1);
    }),
  };
}

function drawn({ B, T }: { B: number; T: number }, vocabulary: number, rng: Rng): Tokens {
  return { B, T, tokens: Int32Array.from({ length: B * T }, () => rng.int(0, vocabulary - 1)) };
}

/** Deterministic: equal weights and probes give equal bits. @throws QuasarError as `forward` */
export async function fingerprint(engine: Engine, probes: FingerprintProbes): Promise<Fingerprint> {
  const { config, parameters } = engine;
  return {
    readings: await readings(config, parameters, probes),
    activations: await activations(config, parameters, probes.public),
    behaviour: await behaviour(config, parameters, probes),
  };
}

async function readings(config: ModelConfig, parameters: Parameters, probes: FingerprintProbes): Promise<string[]> {
  const { B, T } = probes.short;
  const tensors = scope(() => {
    const out = forward(config, parameters, { ...probes.short, hiddenStates: true });
    const { head } = vocabularyOperands(parameters, out.hidden, Int32Array.of(0));
    const ids = Tensor.from(head.device, [1, READOUTS], probes.readouts, 'int');
    return { states: out.hiddenStates!, norm: parameters.get('model.norm.weight')!, rows: embedding(head, ids) };
  });
  const D = tensors.rows.dim(-1);
  const rows = await tensors.rows.read();
  const norm = await tensors.norm.read();
  // Norms of this family stand as their distance from 1.
  const offset = config.model_type.startsWith('qwen3_5') ? 1 : 0;
  const states = await Promise.all(tensors.states.map((state) => state.read()));
  for (const tensor of [...tensors.states, tensors.rows]) tensor.dispose();
  return states.map((state, layer) => {
    const before = states[layer - 1];
    const sequences = Array.from({ length: B }, (_, b) => {
      const at = (b * T + T - 1) * D;
      const added = Float64Array.from({ length: D }, (_, i) => state[at + i]! - (before?.[at + i] ?? 0));
      return Array.from({ length: READOUTS }, (_, s) =>
        added.reduce((sum, value, i) => sum + value * (norm[i]! + offset) * rows[s * D + i]!, 0),
      );
    });
    return packDirections(sequences);
  });
}

async function activations(config: ModelConfig, parameters: Parameters, tokens: Tokens): Promise<string[]> {
  const states = scope(() => forward(config, parameters, { ...tokens, hiddenStates: true }).hiddenStates!);
  const n = states.length;
  const layers = [...new Set([0, Math.floor(n / 3), Math.floor((2 * n) / 3), n - 1])];
  const means = await Promise.all(
    layers.map(async (layer) => {
      const values = await states[layer]!.read();
      const D = states[layer]!.dim(-1);
      const mean = new Float64Array(Math.min(D, ACTIVATION_CHANNELS));
      for (let row = 0; row < values.length / D; row++)
        for (let i = 0; i < mean.length; i++) mean[i] = mean[i]! + values[row * D + i]!;
      return packDirections([mean]);
    }),
  );
  for (const state of states) state.dispose();
  return means;
}

async function behaviour(
  config: ModelConfig,
  parameters: Parameters,
  { behaviour: tokens, positions }: FingerprintProbes,
): Promise<Fingerprint['behaviour']> {
  const top = scope(() => {
    const { hidden } = forward(config, parameters, tokens);
    const { rows, head } = vocabularyOperands(parameters, hidden, positions);
    return headTopK(rows, head, Math.min(BEHAVIOUR_TOP, config.vocab_size));
  });
  const [ids, logprobs] = await Promise.all([top.ids.read(), top.logprobs.read()]);
  for (const tensor of Object.values(top)) tensor.dispose();
  return { ids: packIds(ids!), probabilities: packProbabilities(logprobs!.map(Math.exp)) };
}
