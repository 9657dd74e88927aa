/**
 * @file The inference engine: a loaded checkpoint that generates and scores. Prompts of different lengths share a
 * batch by padding on the left with a segment of its own: a recurrent state resets where the prompt begins, so the
 * padding leaves no trace.
 */
import { QuasarError, Rng } from '@quasar/base';
import {
  type CheckpointOptions,
  disposeParameters,
  type ForwardInput,
  forward,
  loadCheckpoint,
  type ModelConfig,
  type ModelState,
  type Parameters,
  type Tokenizer,
  vocabularyLogits,
} from '@quasar/model';
import { type Device, type DeviceName, openDevice, scope, type Tensor } from '@quasar/tensor';
import { groupRows, paddedBlocks } from './batches.ts';
import { breathe } from './breathe.ts';
import { Decoder } from './decoder.ts';
import { type LogprobsOptions, tokenLogprobs } from './logprobs.ts';
import { sampleToken } from './sample.ts';
import { scoreBatch } from './score.ts';
import { concatTop, topOfRows } from './top-k.ts';
import type { Completion, GenerateOptions, GivenText, StreamedToken, TextView, TopK, Trace } from './types.ts';
import { viewBatch } from './view.ts';

/** After reading a block: logits of each row's last position, and the state to go on from. */
interface Step {
  logits: Tensor;
  state: ModelState;
}

export class Engine {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly device: Device;
  readonly #parameters: Parameters;
  #disposed = false;

  constructor(config: ModelConfig, parameters: Parameters, tokenizer: Tokenizer, device: Device) {
    this.config = config;
    this.#parameters = parameters;
    this.tokenizer = tokenizer;
    this.device = device;
  }

  /** Keeps 16-bit weights in 16 bits. @throws QuasarError as `loadCheckpoint`; tensor.no_native */
  static async load(
    directory: string,
    options: { device?: DeviceName; threads?: number } & Omit<CheckpointOptions, 'dtype'> = {},
  ): Promise<Engine> {
    const device = openDevice(options.device ?? 'auto', options);
    const { config, parameters, tokenizer } = loadCheckpoint(directory, device, { ...options, dtype: 'stored' });
    return new Engine(config, parameters, tokenizer, device);
  }

  get deviceName(): string {
    return this.device.name;
  }

  get parameters(): Parameters {
    return this.#parameters;
  }

  /** Frees the weights; calls that still run and later ones throw `infer.disposed`. */
  dispose(): void {
    if (!this.#disposed) disposeParameters(this.#parameters);
    this.#disposed = true;
  }

  /**
   * Continues every prompt. Rows that finish leave the batch.
   * @throws QuasarError infer.empty_prompt, infer.cancelled, infer.disposed, model.token_out_of_range
   */
  async generate(prompts: readonly Int32Array[], options: GenerateOptions): Promise<Completion[]> {
    checkPrompts(prompts);
    const done: Completion[] = [];
    for (const group of groupRows(prompts.map((prompt) => prompt.length))) {
      const part = await this.#generateBatch(
        group.map((i) => prompts[i] as Int32Array),
        group.map((i) => new Rng(options.seeds ? `${options.seeds[i]}/0` : `${options.seed ?? 0}/${i}`)),
        options,
      );
      group.forEach((i, at) => {
        done[i] = part[at] as Completion;
      });
    }
    return done;
  }

  /**
   * One prompt, token by token, with the tokens that `generate` gives; ends at a stop token, at the limit, or when the
   * consumer stops. @throws QuasarError as `generate`
   */
  async *stream(prompt: Int32Array, options: GenerateOptions): AsyncGenerator<StreamedToken, 'stop' | 'length'> {
    checkPrompts([prompt]);
    if (!(options.maxNewTokens >= 1)) return 'length';
    const stops = this.#stopTokens(options);
    const rng = new Rng(`${options.seed ?? 0}/0`);
    const decoder = await this.#read([prompt], options.signal);
    try {
      for (let n = 1; ; n++) {
        const { token, logprob } = sampleToken(await decoder.logits.read(), options, rng);
        if (stops.has(token) && !options.includeStop) return 'stop';
        const [top] = options.topLogprobs ? await topOfRows(decoder.logits, options.topLogprobs) : [];
        yield { token, logprob, ...(top ? { top: pairs(top) } : {}) };
        if (stops.has(token)) return 'stop';
        if (n >= options.maxNewTokens) return 'length';
        await breathe(options.signal);
        this.#live();
        decoder.next(Int32Array.of(token));
      }
    } finally {
      decoder.dispose();
    }
  }

  /**
   * KL(teacher ‖ this model) at each continuation token, top k plus tail bucket, nats. Order and batching are fixed, so
   * bits repeat. @throws QuasarError infer.bad_trace, infer.disposed, model.token_out_of_range
   */
  async scoreTopK(traces: readonly Trace[]): Promise<Float64Array[]> {
    const scores: Float64Array[] = [];
    for (const group of groupRows(traces.map(({ prompt, continuation }) => prompt.length + continuation.length))) {
      const batch = group.map((i) => traces[i] as Trace);
      const part = await scoreBatch(this.config, this.#live(), batch);
      group.forEach((i, at) => {
        scores[i] = part[at] as Float64Array;
      });
      await breathe();
    }
    return scores;
  }

  /**
   * This model's view of given texts: the top k at each token from `from` on.
   * @throws QuasarError infer.bad_text, infer.disposed, model.token_out_of_range
   */
  async view(texts: readonly GivenText[], k: number): Promise<TextView[]> {
    const views: TextView[] = [];
    for (const group of groupRows(texts.map(({ tokens }) => tokens.length))) {
      const batch = group.map((i) => texts[i]!);
      const part = await viewBatch(this.config, this.#live(), batch, Math.min(k, this.config.vocab_size));
      group.forEach((i, at) => {
        views[i] = part[at]!;
      });
      await breathe();
    }
    return views;
  }

  /**
   * ln p(token | tokens before it), nats, for every token but the first; texts of any length.
   * @throws QuasarError model.token_out_of_range, infer.cancelled, infer.disposed
   */
  async logprobs(tokens: Int32Array, options: LogprobsOptions = {}): Promise<Float32Array> {
    return tokenLogprobs(this.config, this.#live(), tokens, options);
  }

  async #generateBatch(prompts: Int32Array[], rngs: Rng[], options: GenerateOptions): Promise<Completion[]> {
    const { maxNewTokens, topLogprobs = 0, signal } = options;
    const stops = this.#stopTokens(options);
    const rows = prompts.map(() => new Row());
    const finish = () => rows.map((row) => row.completion(topLogprobs > 0 ? Math.min(topLogprobs, V) : null));
    const V = this.config.vocab_size;
    if (!(maxNewTokens >= 1)) return finish();
    let active = rows.map((_, i) => i);
    const decoder = await this.#read(prompts, signal);
    try {
      for (let n = 1; ; n++) {
        const logits = await decoder.logits.read();
        const tops = topLogprobs > 0 ? await topOfRows(decoder.logits, topLogprobs) : [];
        const chosen: number[] = [];
        const stay: number[] = [];
        active.forEach((i, at) => {
          const { token, logprob } = sampleToken(logits.subarray(at * V, (at + 1) * V), options, rngs[i] as Rng);
          const row = rows[i] as Row;
          const isEnd = stops.has(token);
          if (isEnd) row.finishReason = 'stop';
          if (!isEnd || options.includeStop) row.push(token, logprob, tops[at]);
          if (!isEnd) {
            chosen.push(token);
            stay.push(at);
          }
        });
        if (stay.length === 0 || n >= maxNewTokens) return finish();
        await breathe(signal);
        this.#live();
        decoder.next(Int32Array.from(chosen), stay.length < active.length ? stay : undefined);
        active = stay.map((at) => active[at] as number);
      }
    } finally {
      decoder.dispose();
    }
  }

  #stopTokens(options: GenerateOptions): ReadonlySet<number> {
    return new Set(options.stopTokens ?? this.tokenizer.stopIds);
  }

  /** Reads whole prompts, padded on the left to one length. */
  async #read(prompts: readonly Int32Array[], signal: AbortSignal | undefined): Promise<Decoder> {
    let step: Step | null = null;
    try {
      for (const block of paddedBlocks(prompts, this.tokenizer.padId)) {
        await breathe(signal);
        const next: Step = this.#block({ ...block, state: step?.state });
        if (step) disposeStep(step);
        step = next;
      }
    } catch (error) {
      if (step) disposeStep(step);
      throw error;
    }
    return new Decoder(this.config, this.#parameters, step as unknown as Step);
  }

  #block(input: ForwardInput): Step {
    return scope(() => {
      const parameters = this.#live();
      const { hidden, state } = forward(this.config, parameters, input);
      const last = Int32Array.from({ length: input.B }, (_, b) => (b + 1) * input.T - 1);
      return { logits: vocabularyLogits(parameters, hidden, last), state };
    });
  }

  #live(): Parameters {
    if (this.#disposed) throw new QuasarError('infer.disposed', 'this model was unloaded', { retry: 'later' });
    return this.#parameters;
  }
}

/** What one prompt of a batch has got so far. */
class Row {
  finishReason: 'stop' | 'length' = 'length';
  readonly #tokens: number[] = [];
  readonly #logprobs: number[] = [];
  readonly #top: TopK[] = [];

  push(token: number, logprob: number, top: TopK | undefined): void {
    this.#tokens.push(token);
    this.#logprobs.push(logprob);
    if (top) this.#top.push(top);
  }

  /** @param k width of the views; null: none were asked for */
  completion(k: number | null): Completion {
    return {
      tokens: Int32Array.from(this.#tokens),
      logprobs: Float64Array.from(this.#logprobs),
      finishReason: this.finishReason,
      ...(k === null ? {} : { top: concatTop(k, this.#top) }),
    };
  }
}

function pairs({ k, ids, logprobs }: TopK): { id: number; logprob: number }[] {
  return Array.from({ length: k }, (_, i) => ({ id: ids[i] as number, logprob: logprobs[i] as number }));
}

function checkPrompts(prompts: readonly Int32Array[]): void {
  const at = prompts.findIndex((prompt) => prompt.length === 0);
  if (at < 0) return;
  throw new QuasarError('infer.empty_prompt', `generate: prompt ${at} has no tokens`, { hint: 'begin with <|bos|>' });
}

function disposeStep(step: Step): void {
  step.logits.dispose();
  step.state.dispose();
}
