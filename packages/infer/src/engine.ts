/**
 * @file The inference engine: a loaded checkpoint that generates and scores. Prompts of different lengths share a
 * batch by padding on the left with a segment of its own: a recurrent state resets where the prompt begins, so the
 * padding leaves no trace.
 */
import { QuasarError, Rng } from '@quasar/base';
import {
  disposeParameters,
  forward,
  loadCheckpoint,
  type ModelState,
  type Parameters,
  type QuasarConfig,
  type Tokenizer,
  vocabularyLogits,
} from '@quasar/model';
import { type Device, type DeviceName, klTopK, openDevice, scope, Tensor, topK } from '@quasar/tensor';
import { sampleToken } from './sample.ts';
import type { Completion, GenerateOptions, StreamedToken, TopK, Trace } from './types.ts';

/** Tokens per forward block: enough to fill the kernels, small enough for memory. */
const BLOCK_TOKENS = 8192;

/** After reading a block: logits of each row's last position, and the state to go on from. */
interface Step {
  logits: Tensor;
  state: ModelState;
}

export class Engine {
  readonly config: QuasarConfig;
  readonly tokenizer: Tokenizer;
  readonly device: Device;
  readonly #parameters: Parameters;
  #disposed = false;

  constructor(config: QuasarConfig, parameters: Parameters, tokenizer: Tokenizer, device: Device) {
    this.config = config;
    this.#parameters = parameters;
    this.tokenizer = tokenizer;
    this.device = device;
  }

  /** @throws QuasarError checkpoint.invalid, checkpoint.missing_file, tensor.no_native */
  static async load(directory: string, options: { device?: DeviceName; threads?: number } = {}): Promise<Engine> {
    const device = openDevice(options.device ?? 'auto', options);
    const { config, parameters, tokenizer } = loadCheckpoint(directory, device);
    return new Engine(config, parameters, tokenizer, device);
  }

  get deviceName(): string {
    return this.device.name;
  }

  get parameters(): Parameters {
    return this.#parameters;
  }

  /** Frees the weights; later calls throw `infer.disposed`. */
  dispose(): void {
    if (!this.#disposed) disposeParameters(this.#parameters);
    this.#disposed = true;
  }

  /** Continues every prompt. Rows that finish leave the batch. @throws QuasarError infer.empty_prompt, infer.cancelled */
  async generate(prompts: readonly Int32Array[], options: GenerateOptions): Promise<Completion[]> {
    const done: Completion[] = [];
    for (const group of this.#groups(prompts.map((p) => p.length))) {
      const part = await this.#generateBatch(
        group.map((i) => prompts[i] as Int32Array),
        group.map((i) => new Rng(`${options.seed ?? 0}/${i}`)),
        options,
      );
      group.forEach((i, at) => {
        done[i] = part[at] as Completion;
      });
    }
    return done;
  }

  /** One prompt, token by token; ends before a stop token, at the limit, or when the consumer stops. */
  async *stream(prompt: Int32Array, options: GenerateOptions): AsyncGenerator<StreamedToken, 'stop' | 'length'> {
    const stops = new Set(options.stopTokens ?? [this.tokenizer.specials.end]);
    const rng = new Rng(`${options.seed ?? 0}/0`);
    let step = this.#read([prompt]);
    try {
      for (let n = 0; n < options.maxNewTokens; n++) {
        const logits = await step.logits.read();
        const { token, logprob } = sampleToken(logits, options, rng);
        if (stops.has(token)) return 'stop';
        const top = options.topLogprobs ? (await this.#top(step.logits, options.topLogprobs))[0] : undefined;
        const list =
          top &&
          Array.from({ length: top.k }, (_, j) => ({ id: top.ids[j] as number, logprob: top.logprobs[j] as number }));
        yield { token, logprob, ...(list ? { top: list } : {}) };
        await breathe(options.signal);
        if (n + 1 < options.maxNewTokens) step = this.#next(step, Int32Array.of(token));
      }
      return 'length';
    } finally {
      disposeStep(step);
    }
  }

  /**
   * KL(teacher ‖ this model) at each continuation token, top k plus tail bucket, nats: row i of `continuation` is
   * predicted from the prompt and the continuation before it. Order and batching are fixed, so bits repeat.
   */
  async scoreTopK(traces: readonly Trace[]): Promise<Float64Array[]> {
    const scores: Float64Array[] = [];
    const lengths = traces.map((t) => t.prompt.length + t.continuation.length);
    for (const group of this.#groups(lengths)) {
      const rows = group.map((i) => traces[i] as Trace);
      const T = Math.max(...group.map((i) => lengths[i] as number));
      const tokens = new Int32Array(rows.length * T).fill(this.tokenizer.specials.pad);
      const index: number[] = [];
      rows.forEach(({ prompt, continuation }, b) => {
        if (prompt.length === 0) throw new QuasarError('infer.empty_prompt', 'scoreTopK: a trace has an empty prompt');
        tokens.set(prompt, b * T);
        tokens.set(continuation, b * T + prompt.length);
        for (let j = 0; j < continuation.length; j++) index.push(b * T + prompt.length - 1 + j);
      });
      if (index.length === 0) {
        group.forEach((i) => {
          scores[i] = new Float64Array(0);
        });
        continue;
      }
      const k = (rows[0] as Trace).top.k;
      const loss = scope(() => {
        const { hidden } = forward(this.config, this.#live(), { tokens, B: rows.length, T });
        const logits = vocabularyLogits(this.#parameters, hidden, Int32Array.from(index));
        const all = concatTop(rows.map((r) => r.top));
        return klTopK(logits, {
          ids: Tensor.from(this.device, [index.length, k], all.ids, 'int'),
          logprobs: Tensor.from(this.device, [index.length, k], all.logprobs),
          tail: Tensor.from(this.device, [index.length], all.tail),
        });
      });
      const values = await loss.read();
      loss.dispose();
      let at = 0;
      group.forEach((i, b) => {
        const n = (rows[b] as Trace).continuation.length;
        scores[i] = Float64Array.from(values.subarray(at, at + n));
        at += n;
      });
      await breathe();
    }
    return scores;
  }

  async #generateBatch(prompts: Int32Array[], rngs: Rng[], options: GenerateOptions): Promise<Completion[]> {
    const stops = new Set(options.stopTokens ?? [this.tokenizer.specials.end]);
    const out = prompts.map(() => ({
      tokens: [] as number[],
      logprobs: [] as number[],
      top: [] as TopK[],
      finishReason: 'length' as 'stop' | 'length',
    }));
    if (options.maxNewTokens < 1) return out.map(completion);
    let active = prompts.map((_, i) => i);
    let step = this.#read(prompts);
    try {
      for (let n = 0; n < options.maxNewTokens && active.length > 0; n++) {
        const V = this.config.vocab_size;
        const logits = await step.logits.read();
        const tops = options.topLogprobs ? await this.#top(step.logits, options.topLogprobs) : null;
        const chosen: number[] = [];
        const stay: number[] = [];
        active.forEach((i, row) => {
          const { token, logprob } = sampleToken(logits.subarray(row * V, (row + 1) * V), options, rngs[i] as Rng);
          const result = out[i] as (typeof out)[number];
          if (stops.has(token)) {
            result.finishReason = 'stop';
            return;
          }
          result.tokens.push(token);
          result.logprobs.push(logprob);
          if (tops) result.top.push(tops[row] as TopK);
          stay.push(row);
          chosen.push(token);
        });
        active = stay.map((row) => active[row] as number);
        await breathe(options.signal);
        if (active.length > 0 && n + 1 < options.maxNewTokens) {
          step = this.#next(step, Int32Array.from(chosen), stay.length < step.state.batch ? stay : undefined);
        }
      }
      return out.map(completion);
    } finally {
      disposeStep(step);
    }
  }

  /** Reads whole prompts, padded on the left to one length. */
  #read(prompts: readonly Int32Array[]): Step {
    const T = Math.max(...prompts.map((p) => p.length));
    if (prompts.some((p) => p.length === 0))
      throw new QuasarError('infer.empty_prompt', 'generate: a prompt has no tokens', { hint: 'begin with <|bos|>' });
    const B = prompts.length;
    const width = Math.max(1, Math.floor(BLOCK_TOKENS / B));
    const tokens = new Int32Array(B * T).fill(this.tokenizer.specials.pad);
    const positions = new Int32Array(B * T);
    prompts.forEach((prompt, b) => {
      const pad = T - prompt.length;
      tokens.set(prompt, b * T + pad);
      for (let t = 0; t < T; t++) positions[b * T + t] = t < pad ? t : t - pad;
    });
    let step: Step | null = null;
    for (let from = 0; from < T; from += width) {
      const to = Math.min(T, from + width);
      const cut = (rows: Int32Array) =>
        Int32Array.from(
          { length: B * (to - from) },
          (_, i) => rows[Math.floor(i / (to - from)) * T + from + (i % (to - from))] as number,
        );
      const before: Step | null = step;
      step = this.#block(cut(tokens), B, to - from, before?.state, cut(positions));
      if (before) disposeStep(before);
    }
    return step as Step;
  }

  /** One more token per row; with `rows`, only those rows go on. */
  #next(step: Step, tokens: Int32Array, rows?: number[]): Step {
    const next = scope(() => {
      const state = rows ? step.state.select(rows) : step.state;
      return this.#block(tokens, tokens.length, 1, state);
    });
    disposeStep(step);
    return next;
  }

  #block(tokens: Int32Array, B: number, T: number, state?: ModelState, positions?: Int32Array): Step {
    return scope(() => {
      const out = forward(this.config, this.#live(), { tokens, B, T, state, positions });
      const last = Int32Array.from({ length: B }, (_, b) => b * T + T - 1);
      return { logits: vocabularyLogits(this.#parameters, out.hidden, last), state: out.state };
    });
  }

  async #top(logits: Tensor, k: number): Promise<TopK[]> {
    const top = scope(() => topK(logits, Math.min(k, this.config.vocab_size)));
    const [ids, logprobs, tail] = await Promise.all([top.ids.read(), top.logprobs.read(), top.tail.read()]);
    for (const t of [top.ids, top.logprobs, top.tail]) t.dispose();
    const width = top.ids.dim(1);
    return Array.from({ length: tail.length }, (_, row) => ({
      k: width,
      ids: Int32Array.from(ids.subarray(row * width, (row + 1) * width)),
      logprobs: Float32Array.from(logprobs.subarray(row * width, (row + 1) * width)),
      tail: Float32Array.of(tail[row] as number),
    }));
  }

  #live(): Parameters {
    if (this.#disposed) throw new QuasarError('infer.disposed', 'this model was unloaded', { retry: 'later' });
    return this.#parameters;
  }

  /** Rows in order, cut so that rows times the longest one stays within a block. */
  #groups(lengths: readonly number[]): number[][] {
    const groups: number[][] = [];
    let longest = 0;
    lengths.forEach((length, i) => {
      const group = groups.at(-1);
      longest = Math.max(longest, length);
      if (group && (group.length + 1) * longest <= BLOCK_TOKENS) group.push(i);
      else {
        groups.push([i]);
        longest = length;
      }
    });
    return groups;
  }
}

function completion(row: {
  tokens: number[];
  logprobs: number[];
  top: TopK[];
  finishReason: 'stop' | 'length';
}): Completion {
  const { tokens, logprobs, top, finishReason } = row;
  return {
    tokens: Int32Array.from(tokens),
    logprobs: Float64Array.from(logprobs),
    finishReason,
    ...(top.length > 0 ? { top: concatTop(top) } : {}),
  };
}

function concatTop(parts: readonly TopK[]): TopK {
  const k = parts[0]?.k ?? 0;
  return {
    k,
    ids: Int32Array.from(parts.flatMap((p) => [...p.ids])),
    logprobs: Float32Array.from(parts.flatMap((p) => [...p.logprobs])),
    tail: Float32Array.from(parts.flatMap((p) => [...p.tail])),
  };
}

function disposeStep(step: Step): void {
  step.logits.dispose();
  step.state.dispose();
}

/** Lets timers and sockets through between tokens. */
async function breathe(signal?: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  if (signal?.aborted) throw new QuasarError('infer.cancelled', 'generation was cancelled', { retry: 'later' });
}
