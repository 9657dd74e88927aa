/**
 * @file Reading (prefill) and scoring of one sequence from 4 thousand to a million tokens, in blocks with a carried state. A
 * linear model must take the same time per token and the same memory at every length. Scoring adds the logits of every
 * position and the cross-entropy of the next token.
 */
import { Rng } from '@quasar/base';
import { disposeParameters, forward, initialParameters, SIZES, vocabularyLogits } from '@quasar/model';
import { crossEntropy, scope, Tensor } from '@quasar/tensor';
import { median } from './measure.js';
import { linePlot } from './plot.js';

const BLOCK = 4096;
/** Shorter lengths are read again until this many tokens have gone by: a millisecond of noise is 10 % of 4 thousand tokens. */
const TOKENS_PER_LENGTH = 2 ** 16;
const FLAT_WITHIN = 0.05;

/** The area of reading (prefill) or of scoring. */
export function longSequences(what) {
  return {
    title: `Long sequences: ${what}, quasar-nano`,
    run: (context) => run(what, context),
    plot: (rows) =>
      linePlot({
        title: `Time per token by length, ${what}, quasar-nano`,
        x: 'tokens read',
        y: 'ns per token',
        lines: [
          { name: what, points: rows.filter((row) => row.tokens).map((row) => [row.tokens, row.nanosecondsPerToken]) },
        ],
      }),
  };
}

async function run(what, { device, add, progress, isQuick }) {
  const isScored = what === 'scoring';
  const config = SIZES.nano;
  const parameters = initialParameters(config, device, new Rng('bench'));
  const block = isQuick ? 128 : BLOCK;
  const lengths = isQuick ? [128, 256] : [12, 14, 16, 18, 20].map((power) => 2 ** power);
  const rng = new Rng('bench/tokens');
  const tokens = Int32Array.from({ length: block }, () => rng.int(0, config.vocab_size - 1));
  const targets = Int32Array.from(tokens, (_, t) => tokens[(t + 1) % block]);

  /** Reads one block; the state goes in and comes out. */
  function readBlock(state) {
    const next = scope(() => {
      const out = forward(config, parameters, { tokens, B: 1, T: block, state: state ?? undefined });
      if (isScored)
        crossEntropy(vocabularyLogits(parameters, out.hidden), Tensor.from(device, [block], targets, 'int'));
      return out.state;
    });
    state?.dispose();
    return next;
  }

  async function readAll(length) {
    let state = null;
    for (let at = 0; at < length; at += block) state = readBlock(state);
    await state.tensors.values().next().value.read();
    const bytes = state.sizeBytes;
    state.dispose();
    return bytes;
  }

  try {
    await readAll(lengths[0]);
    const perToken = [];
    for (const length of lengths) {
      progress(`${what} of ${length} tokens`);
      const repeats = isQuick ? 1 : Math.max(1, TOKENS_PER_LENGTH / length);
      const samples = [];
      let stateBytes = 0;
      for (let i = 0; i < repeats; i++) {
        const startedAtMs = performance.now();
        stateBytes = await readAll(length);
        samples.push((performance.now() - startedAtMs) / 1000);
      }
      const seconds = median(samples);
      perToken.push(seconds / length);
      const memory = [`${mb(process.memoryUsage().rss)} resident`, `state ${mb(stateBytes)}`];
      if (device.memory) memory.push(`device peak ${mb(device.memory().peakBytes)}`);
      add({
        case: what,
        shape: `${length} tokens`,
        unit: 'token/s',
        ours: { value: length / seconds, seconds, samples },
        tokens: length,
        nanosecondsPerToken: (1e9 * seconds) / length,
        stateBytes,
        rssBytes: process.memoryUsage().rss,
        note: `${length} tokens: ${((1e9 * seconds) / length).toFixed(0)} ns a token, ${memory.join(', ')}`,
      });
    }
    const spread = Math.max(...perToken) / Math.min(...perToken) - 1;
    add({
      case: `${what}, flatness`,
      shape: `${lengths[0]} to ${lengths.at(-1)}`,
      unit: '% slower',
      ours: { value: 100 * spread },
      goals: [{ most: 100 * FLAT_WITHIN }],
    });
  } finally {
    disposeParameters(parameters);
  }
}

function mb(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
