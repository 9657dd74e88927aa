/**
 * @file Computing one unit: a pure function of the unit, the model directories and the blobs it names. Runs inside the
 * cage; a miner who tries out a model at home runs it in its own process.
 */
import { ROLLOUT_BATCH, replyTo, rolloutRkl, SCORE_BATCH, scoreTraces, textLogprobs } from '@quasar/evals';
import { type Engine, makeTraces, type Trace } from '@quasar/infer';
import { fingerprint } from '../copy/fingerprint.ts';
import { EngineCache } from './engine-cache.ts';
import { decodeTraces, encodeTraces } from './trace-blob.ts';
import { batchSeed, packTokens, type Unit, unitTokens } from './units.ts';

export interface UnitInput {
  unit: Unit;
  /** Of the unit's models, in the order of `unitModels`. */
  directories: readonly string[];
  /** In the order of `unitBlobs`. */
  blobs: readonly Uint8Array[];
}

export interface UnitOutput {
  /** As `readResult` takes it, once the digest of the blob is in it. */
  result: Record<string, unknown>;
  /** The result gets its digest under `name`. */
  blob: { name: string; bytes: Uint8Array } | null;
}

export interface RunOptions {
  signal?: AbortSignal | undefined;
  /** Rows of the unit that are done. */
  onProgress?: ((rows: number) => void) | undefined;
}

/** Whoever can compute units: this process, or a cage. */
export interface UnitRunner {
  /** @throws QuasarError with `retry: 'later'` when nothing is said about the model */
  run(input: UnitInput, options?: RunOptions): Promise<UnitOutput>;
  close(): Promise<void>;
}

export class Compute implements UnitRunner {
  readonly #engines: EngineCache;

  constructor(options: { threads?: number | undefined } = {}) {
    this.#engines = new EngineCache(options);
  }

  async run({ unit, directories, blobs }: UnitInput, options: RunOptions = {}): Promise<UnitOutput> {
    const [model, teacher] = (await this.#engines.get(directories)) as [Engine, Engine];
    switch (unit.kind) {
      case 'traces':
        return traces(unit, model, options);
      case 'kl':
        return kl(blobs[0]!, model, options);
      case 'answers':
        return answers(unit, model, options);
      case 'likelihood':
        return likelihood(unit, model, options);
      case 'rollouts':
        return rollouts(unit, model, teacher, options);
      case 'fingerprint':
        return { result: { ...(await fingerprint(model, unit.probes)) }, blob: null };
    }
  }

  async close(): Promise<void> {
    this.#engines.dispose();
  }
}

type Of<K extends Unit['kind']> = Extract<Unit, { kind: K }>;

async function traces(unit: Of<'traces'>, teacher: Engine, { signal, onProgress }: RunOptions): Promise<UnitOutput> {
  const { prompts, from, seed, continuationTokens, topK, temperature, topP } = unit;
  const made: Trace[] = [];
  for (let at = 0; at < prompts.length; at += SCORE_BATCH) {
    const sampling = { continuationTokens, topK, temperature, topP, seed: batchSeed(seed, from + at), signal };
    made.push(...(await makeTraces(teacher, prompts.slice(at, at + SCORE_BATCH), sampling)));
    onProgress?.(made.length);
  }
  return {
    result: { rows: made.length, tokens: unitTokens(unit) },
    blob: { name: 'traces', bytes: encodeTraces(made) },
  };
}

async function kl(blob: Uint8Array, model: Engine, { signal, onProgress }: RunOptions): Promise<UnitOutput> {
  const { perPrompt, perToken } = await scoreTraces(model, decodeTraces(blob), {
    signal,
    onProgress: (done) => onProgress?.(done.length),
  });
  // The kernel computes them in float32: nothing is lost.
  const values = Float32Array.from(perToken.flatMap((row) => [...row]));
  return {
    result: { perPrompt, tokens: perToken.map((row) => row.length) },
    blob: { name: 'perToken', bytes: new Uint8Array(values.buffer) },
  };
}

async function answers(unit: Of<'answers'>, model: Engine, { signal, onProgress }: RunOptions): Promise<UnitOutput> {
  const replies = await replyTo(model, unit.prompts, { maxNewTokens: unit.maxNewTokens, signal, onProgress });
  return {
    result: { replies: replies.map(({ tokens, finished }) => ({ tokens: packTokens(tokens), finished })) },
    blob: null,
  };
}

async function likelihood(unit: Of<'likelihood'>, teacher: Engine, { signal }: RunOptions): Promise<UnitOutput> {
  const texts = unit.prompts.map((tokens, i) => ({ tokens, from: unit.starts[i]! }));
  return { result: { logprobs: await textLogprobs(teacher, texts, { signal }) }, blob: null };
}

async function rollouts(
  unit: Of<'rollouts'>,
  model: Engine,
  teacher: Engine,
  { signal, onProgress }: RunOptions,
): Promise<UnitOutput> {
  const { prompts, from, seed, maxNewTokens, temperature, topP, topK } = unit;
  const perPrompt: (number | null)[] = [];
  for (let at = 0; at < prompts.length; at += ROLLOUT_BATCH) {
    const sampling = { maxNewTokens, temperature, topP, topK, seed: batchSeed(seed, from + at), signal };
    perPrompt.push(...(await rolloutRkl(model, teacher, prompts.slice(at, at + ROLLOUT_BATCH), sampling)));
    onProgress?.(perPrompt.length);
  }
  return { result: { perPrompt }, blob: null };
}
