/**
 * @file Reading (prefill) and scoring of sequences from 4 thousand to a million tokens, in blocks with a carried state. A
 * linear model must take the same time per token and the same memory at every length. One sequence of every length is open
 * at a time, and they take turns, so that what the machine does besides hits every length alike.
 */
import { Rng } from '@quasar/base';
import { Engine } from '@quasar/infer';
import { disposeParameters, forward, initialParameters, SIZES, trainBpe } from '@quasar/model';
import { scope } from '@quasar/tensor';
import { median } from './measure.js';
import { linePlot } from './plot.js';

const BLOCK = 4096;
/** In a round every length reads so many tokens; the longest reads as many times more as ends it with the last round. */
const TOKENS_PER_ROUND = 2 ** 14;
const ROUNDS = 16;
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
  const config = SIZES.nano;
  const parameters = initialParameters(config, device, new Rng('bench'));
  const open = what === 'scoring' ? scoring(config, parameters, device) : prefill(config, parameters);
  const lengths = isQuick ? [BLOCK, 2 * BLOCK] : [12, 14, 16, 18, 20].map((power) => 2 ** power);
  const [rounds, perRound] = isQuick ? [2, 2 * BLOCK] : [ROUNDS, TOKENS_PER_ROUND];
  const rng = new Rng('bench/tokens');
  const tokens = Int32Array.from({ length: lengths.at(-1) + 1 }, () => rng.int(0, config.vocab_size - 1));
  const readers = lengths.map((length) => ({
    length,
    tokens: Math.max(perRound, length / rounds),
    samples: [],
    sequence: null,
  }));

  /** Goes on with the open sequence; at its end a new one of the same length begins. */
  async function read(reader) {
    const startedAtMs = performance.now();
    for (let count = 0; count < reader.tokens; ) {
      reader.sequence ??= open(tokens.subarray(0, reader.length + 1));
      const { value, done } = await reader.sequence.next();
      if (done) reader.sequence = null;
      else count += value;
    }
    return (performance.now() - startedAtMs) / 1000;
  }

  const memory = () => {
    const own = device.memory ? `, device peak ${mb(device.memory().peakBytes)}` : '';
    return `${mb(process.memoryUsage().rss)} resident${own}`;
  };
  try {
    for (const reader of readers.slice(0, 2)) await read({ ...reader, tokens: 2 * BLOCK }); // memory and threads are there
    let first;
    for (let round = 0; round < rounds; round++) {
      progress(`${what}, round ${round + 1} of ${rounds}`);
      // Another length begins each round.
      const start = round % readers.length;
      for (const reader of [...readers.slice(start), ...readers.slice(0, start)])
        reader.samples.push(await read(reader));
      first ??= memory();
    }
    for (const { length, tokens: count, samples } of readers) {
      const seconds = median(samples);
      add({
        case: what,
        shape: `${length} tokens`,
        unit: 'token/s',
        ours: { value: count / seconds, seconds, samples },
        tokens: length,
        nanosecondsPerToken: (1e9 * seconds) / count,
        note: `${length} tokens: ${((1e9 * seconds) / count).toFixed(0)} ns a token, median of ${samples.length} times ${count} tokens`,
      });
    }
    // Of a round, each length against the mean of all: what slows the machine down for seconds cancels.
    const perToken = (round) => readers.map(({ samples, tokens: count }) => samples[round] / count);
    const shares = Array.from({ length: rounds }, (_, round) => {
      const each = perToken(round);
      const mean = each.reduce((sum, x) => sum + x, 0) / each.length;
      return each.map((x) => x / mean);
    });
    const relative = readers.map((_, i) => median(shares.map((share) => share[i])));
    add({
      case: `${what}, flatness`,
      shape: `${lengths[0]} to ${lengths.at(-1)}`,
      unit: '% slower',
      ours: { value: 100 * (Math.max(...relative) / Math.min(...relative) - 1) },
      goals: [{ most: 100 * FLAT_WITHIN }],
      rssBytes: process.memoryUsage().rss,
      note: `after the first round ${first}; after the last ${memory()}`,
    });
  } finally {
    for (const { sequence } of readers) await sequence?.return();
    disposeParameters(parameters);
  }
}

/** Opens sequences that the model reads block by block: a generator of the tokens that each block read. */
function prefill(config, parameters) {
  return async function* (tokens) {
    let state = null;
    try {
      for (let at = 0; at + BLOCK < tokens.length; at += BLOCK) {
        const input = { tokens: tokens.subarray(at, at + BLOCK), B: 1, T: BLOCK, state: state ?? undefined };
        const next = scope(() => forward(config, parameters, input).state);
        state?.dispose();
        state = next;
        await state.tensors.values().next().value.read();
        yield BLOCK;
      }
    } finally {
      state?.dispose();
    }
  };
}

/** The same with the log-probability of every next token, as `Engine.logprobs` gives it, in its blocks. */
function scoring(config, parameters, device) {
  const engine = new Engine(config, parameters, trainBpe(['a'], { vocabSize: 270 }), device);
  return async function* (tokens) {
    const stop = new AbortController();
    let [goOn, report] = [];
    const waitForBlock = () => new Promise((resolve) => (report = resolve));
    let block = waitForBlock();
    const all = engine.logprobs(tokens, {
      signal: stop.signal,
      progress: (done) => {
        report(done);
        return new Promise((resolve) => (goOn = resolve));
      },
    });
    all.catch((error) => stop.signal.aborted || report(Promise.reject(error)));
    try {
      for (let done = 0; done < tokens.length - 1; ) {
        const now = await block;
        yield now - done;
        done = now;
        block = waitForBlock();
        if (done < tokens.length - 1) goOn();
      }
      goOn();
      await all;
    } finally {
      stop.abort();
      goOn?.();
    }
  };
}

function mb(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
