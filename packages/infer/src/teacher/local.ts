/** @file A teacher on this machine: a checkpoint of any family. */
import { QuasarError } from '@quasar/base';
import { checkpointDigest, type Tokenizer } from '@quasar/model';
import { Engine } from '../engine.ts';
import { concatTop } from '../top-k.ts';
import type { GivenText, TopK, Trace } from '../types.ts';
import {
  emptyReport,
  type Teacher,
  type TeacherAnswer,
  type TeacherIdentity,
  type TeacherOptions,
  type TeacherPrompt,
} from './teacher.ts';
import { viewRow } from './view-rows.ts';
import { tokenizerDigest } from './vocabulary.ts';

type EngineOptions = NonNullable<Parameters<typeof Engine.load>[1]>;

export class LocalTeacher implements Teacher {
  readonly identity: TeacherIdentity;
  readonly #engine: Engine;

  /** Takes the engine over. */
  constructor(engine: Engine, weightsSha256: string) {
    this.#engine = engine;
    const family = engine.config.model_type;
    this.identity = { kind: 'local', family, weightsSha256, tokenizerSha256: tokenizerDigest(engine.tokenizer) };
  }

  /** @throws QuasarError as `Engine.load` */
  static async load(directory: string, options: EngineOptions = {}): Promise<LocalTeacher> {
    const engine = await Engine.load(directory, options);
    return new LocalTeacher(engine, await checkpointDigest(directory));
  }

  get tokenizer(): Tokenizer {
    return this.#engine.tokenizer;
  }

  /** @throws QuasarError as `Engine.generate` */
  async generate(prompts: readonly TeacherPrompt[], options: TeacherOptions): Promise<TeacherAnswer> {
    const { maxNewTokens, topK, temperature, topP, seeds, untilEnd, signal } = options;
    const completions = await this.#engine.generate(
      prompts.map(({ ids }) => ids),
      {
        ...{ maxNewTokens, temperature, topP, seeds, signal },
        topLogprobs: topK,
        includeStop: true,
        ...(untilEnd ? {} : { stopTokens: [] }),
      },
    );
    return this.#answer(
      completions.map(({ tokens, top }, i) => ({ prompt: prompts[i]!.ids, continuation: tokens, top: top! })),
    );
  }

  /** @throws QuasarError as `Engine.view` */
  async score(texts: readonly GivenText[], options: Pick<TeacherOptions, 'topK' | 'signal'>): Promise<TeacherAnswer> {
    const views = await this.#engine.view(texts, options.topK);
    if (options.signal?.aborted) throw new QuasarError('infer.cancelled', 'scoring was cancelled', { retry: 'later' });
    return this.#answer(
      texts.map(({ tokens, from }, i) => ({
        prompt: tokens.slice(0, from),
        continuation: tokens.slice(from),
        top: views[i]!.top,
      })),
    );
  }

  dispose(): void {
    this.#engine.dispose();
  }

  /** A model may have more ids than its tokenizer has tokens: those are taken out. */
  #answer(traces: Trace[]): TeacherAnswer {
    const report = emptyReport();
    const { vocabSize } = this.tokenizer;
    if (this.#engine.config.vocab_size > vocabSize) {
      const known = traces.map(({ prompt, continuation, top }): Trace => {
        const cut = continuation.findIndex((id) => id >= vocabSize);
        const n = cut < 0 ? continuation.length : cut;
        report.cutTraces += Number(cut >= 0);
        const rows = Array.from({ length: n }, (_, row) =>
          viewRow(entriesOf(top, row, vocabSize), top.k, vocabSize, report),
        );
        return { prompt, continuation: continuation.slice(0, n), top: concatTop(top.k, rows) };
      });
      return { traces: known, report };
    }
    report.views = traces.reduce((sum, { continuation }) => sum + continuation.length, 0);
    return { traces, report };
  }
}

function entriesOf({ k, ids, logprobs }: TopK, row: number, vocabSize: number) {
  return Array.from({ length: k }, (_, i) => {
    const id = ids[row * k + i]!;
    return { id: id < vocabSize ? id : null, logprob: logprobs[row * k + i]! };
  });
}
