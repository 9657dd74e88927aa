/** @file A teacher behind an OpenAI-compatible server with log-probabilities: OpenAI, vLLM, llama.cpp, `quasar serve`. */
import { runParallel } from '@quasar/base';
import type { Tokenizer } from '@quasar/model';
import type { GivenText, Trace } from '../types.ts';
import { commonPrompt, requirePromptTokens, traceOf } from './alignment.ts';
import { type ReadAnswer, readAnswer } from './answer-shapes.ts';
import { badAnswer, JsonClient, type JsonClientLimits } from './json-client.ts';
import { type Dialect, negotiate, tokensOf, unsupported } from './negotiation.ts';
import {
  type AnswerReport,
  addReport,
  emptyReport,
  type Teacher,
  type TeacherAnswer,
  type TeacherIdentity,
  type TeacherOptions,
  type TeacherPrompt,
} from './teacher.ts';
import { TokenLookup, tokenizerDigest } from './vocabulary.ts';

export interface OpenAiTeacherOptions {
  /** With or without `/v1` at its end. */
  url: string;
  /** Default: the only one that the server lists. */
  model?: string | undefined;
  /** Of the student: ids of the traces. */
  tokenizer: Tokenizer;
  /** Entries of a view that will be asked for: whether the server gives as many is checked at once. */
  topK: number;
  /** Default: completions, else chat where a server has only that. */
  endpoint?: 'completions' | 'chat' | undefined;
  /** Environment variable that holds the key; unset: none is sent. Default QUASAR_TEACHER_KEY. */
  keyVariable?: string | undefined;
  /** Requests at a time. Default 8. */
  parallel?: number | undefined;
  limits?: Partial<JsonClientLimits> | undefined;
  signal?: AbortSignal | undefined;
}

const DEFAULT_PARALLEL = 8;

export class OpenAiTeacher implements Teacher {
  readonly identity: TeacherIdentity;
  readonly tokenizer: Tokenizer;
  readonly #client: JsonClient;
  readonly #dialect: Dialect;
  readonly #lookup: TokenLookup;
  readonly #parallel: number;

  private constructor(client: JsonClient, dialect: Dialect, lookup: TokenLookup, options: OpenAiTeacherOptions) {
    const { tokenizer, parallel = DEFAULT_PARALLEL } = options;
    const { model, prompts, vocabulary } = dialect;
    this.#client = client;
    this.#dialect = dialect;
    this.#lookup = lookup;
    this.#parallel = parallel;
    this.tokenizer = tokenizer;
    const tokenizerSha256 = tokenizerDigest(tokenizer);
    this.identity = { kind: 'openai', host: client.host, model, prompts, vocabulary, tokenizerSha256 };
  }

  /**
   * Finds out what the server can do and whether it has our vocabulary.
   * @throws QuasarError infer.vocabulary_differs, infer.teacher_unsupported, infer.teacher_refused, infer.teacher_url,
   * infer.teacher_unreachable, infer.teacher_answer, infer.cancelled
   */
  static async connect(options: OpenAiTeacherOptions): Promise<OpenAiTeacher> {
    const key = process.env[options.keyVariable ?? 'QUASAR_TEACHER_KEY'];
    const client = new JsonClient(options.url, key === '' ? undefined : key, options.limits);
    const lookup = new TokenLookup(options.tokenizer);
    const dialect = await negotiate(client, lookup, options);
    return new OpenAiTeacher(client, dialect, lookup, options);
  }

  async generate(prompts: readonly TeacherPrompt[], options: TeacherOptions): Promise<TeacherAnswer> {
    return this.#each(prompts, options.signal, (prompt, i, report, signal) =>
      this.#continue(prompt, options, options.seeds[i]!, report, signal),
    );
  }

  async score(texts: readonly GivenText[], options: Pick<TeacherOptions, 'topK' | 'signal'>): Promise<TeacherAnswer> {
    if (!this.#dialect.canEcho) throw unsupported(`${this.#client.host} does not score given texts`);
    return this.#each(texts, options.signal, async ({ tokens, from }, _, report, signal) => {
      // One token more than is wanted: some servers refuse to make none.
      const asked = { echo: true, max_tokens: 1, temperature: 0, top_p: 1 };
      const { steps } = await this.#ask(this.#prompt(tokens), { ...asked, ...this.#views(options.topK) }, signal);
      const common = commonPrompt(tokens, steps, this.tokenizer);
      if (common < tokens.length) requirePromptTokens(tokens.length, common);
      const { vocabSize } = this.tokenizer;
      return traceOf(tokens.slice(0, from), steps.slice(from, tokens.length), options.topK, vocabSize, report);
    });
  }

  dispose(): void {}

  async #continue(
    { ids, messages }: TeacherPrompt,
    { maxNewTokens, topK, temperature, topP, untilEnd }: TeacherOptions,
    seed: number,
    report: AnswerReport,
    signal: AbortSignal,
  ): Promise<Trace> {
    const { prompts, canEcho, hasExtensions } = this.#dialect;
    const { vocabSize } = this.tokenizer;
    const body = {
      ...{ max_tokens: maxNewTokens, temperature, top_p: topP, seed },
      ...this.#views(topK),
      ...(hasExtensions ? { ignore_eos: !untilEnd, include_stop_str_in_output: true } : {}),
    };
    if (prompts === 'messages') {
      if (!messages) throw unsupported(`${this.#client.host} takes conversations only, and a prompt is plain text`);
      const { steps } = await this.#ask({ messages }, body, signal);
      return traceOf(ids, steps, topK, vocabSize, report);
    }
    const echo = prompts === 'text' && canEcho;
    const { steps, promptTokens } = await this.#ask(this.#prompt(ids), { ...body, ...(echo ? { echo } : {}) }, signal);
    if (echo) {
      const common = commonPrompt(ids, steps, this.tokenizer);
      report.movedBorders += Number(common < ids.length);
      return traceOf(ids.slice(0, common), steps.slice(common), topK, vocabSize, report);
    }
    if (promptTokens !== null || prompts === 'text') requirePromptTokens(ids.length, promptTokens);
    return traceOf(ids, steps, topK, vocabSize, report);
  }

  #prompt(ids: Int32Array): { prompt: number[] | string } {
    return { prompt: this.#dialect.prompts === 'ids' ? [...ids] : this.tokenizer.decode(ids, { specials: true }) };
  }

  #views(topK: number): object {
    return tokensOf(this.#dialect, topK);
  }

  async #ask(
    prompt: { prompt: number[] | string } | { messages: TeacherPrompt['messages'] },
    body: { max_tokens: number },
    signal: AbortSignal,
  ): Promise<ReadAnswer & { steps: NonNullable<ReadAnswer['steps']> }> {
    const { path, model } = this.#dialect;
    const answer = await this.#client.call(path, { model, ...prompt, ...body }, signal);
    if (answer.status >= 400) throw this.#client.refused('a prompt', answer);
    // Another tokenizer may need several tokens for one of ours, but never more than bytes.
    const promptSteps = 'prompt' in prompt ? 8 * prompt.prompt.length : 0;
    const read = readAnswer(answer.body, this.#lookup, promptSteps + body.max_tokens + 1);
    if (!read.steps) throw badAnswer('no log-probabilities');
    return { ...read, steps: read.steps };
  }

  /** Some at a time; the first failure ends the others. */
  async #each<Item>(
    items: readonly Item[],
    outer: AbortSignal | undefined,
    one: (item: Item, index: number, report: AnswerReport, signal: AbortSignal) => Promise<Trace>,
  ): Promise<TeacherAnswer> {
    // One each, so that sums do not depend on who was first.
    const reports = items.map(() => emptyReport());
    const traces: Trace[] = [];
    await runParallel(
      items.length,
      this.#parallel,
      async (i, signal) => {
        traces[i] = await one(items[i]!, i, reports[i]!, signal);
      },
      outer,
    );
    const report = emptyReport();
    for (const part of reports) addReport(report, part);
    return { traces, report };
  }
}
