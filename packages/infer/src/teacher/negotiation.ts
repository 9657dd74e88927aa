/**
 * @file What a server can do, found out by asking: its model, whether it takes token ids, the extensions of vLLM and
 * llama.cpp, echoed prompts; and whether its vocabulary is ours, shown by how it cuts a few probe strings.
 */
import { QuasarError } from '@quasar/base';
import type { Tokenizer } from '@quasar/model';
import { mayBe } from './alignment.ts';
import { type ReadAnswer, readAnswer } from './answer-shapes.ts';
import { badAnswer, type JsonAnswer, type JsonClient } from './json-client.ts';
import type { OpenAiTeacherOptions } from './openai.ts';
import { PROBES, type TokenLookup, vocabularyDiffers } from './vocabulary.ts';

export interface Dialect {
  model: string;
  /** Of the endpoint, absolute. */
  path: string;
  prompts: 'ids' | 'text' | 'messages';
  vocabulary: 'ids' | 'splits' | 'counts';
  /** It reports the tokens of the prompt too. */
  canEcho: boolean;
  /** It takes fields that OpenAI does not have. */
  hasExtensions: boolean;
}

type Endpoint = Pick<Dialect, 'path' | 'model' | 'hasExtensions'> & { isChat: boolean };

/** Fields that ask for views of k entries, and for ids in place of text where the server knows how. */
export function tokensOf({ prompts, hasExtensions }: Pick<Dialect, 'prompts' | 'hasExtensions'>, k: number): object {
  return {
    ...(prompts === 'messages' ? { logprobs: true, top_logprobs: k } : { logprobs: k }),
    ...(hasExtensions ? { return_tokens_as_token_ids: true, n_probs: k } : {}),
  };
}

export function unsupported(what: string): QuasarError {
  return new QuasarError('infer.teacher_unsupported', `teacher: ${what}`, {
    hint: 'use another endpoint or server, a smaller top k, or a checkpoint on this machine',
  });
}

/** @throws QuasarError infer.* */
export async function negotiate(
  client: JsonClient,
  lookup: TokenLookup,
  options: OpenAiTeacherOptions,
): Promise<Dialect> {
  const session = new Session(client, lookup, options);
  const root = new URL(options.url).pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
  const model = options.model ?? (await session.onlyModel(`${root}/v1/models`));
  const endpoint = await session.endpoint(root, model);
  const { path, hasExtensions, isChat } = endpoint;
  const common = { model, path, hasExtensions };
  const hasOurIds = await session.tokenizesAsWeDo(`${root}/tokenize`, model);
  if (isChat) {
    if (!hasOurIds) await session.requireCounts(endpoint);
    return { ...common, prompts: 'messages', vocabulary: hasOurIds ? 'ids' : 'counts', canEcho: false };
  }
  const echoed = await session.echoes(endpoint);
  const vocabulary = hasOurIds || echoed === 'ids' ? 'ids' : echoed;
  if (!vocabulary) await session.requireCounts(endpoint);
  const takesIds = vocabulary === 'ids' && (await session.takesIds(endpoint));
  return {
    ...common,
    prompts: takesIds ? 'ids' : 'text',
    vocabulary: vocabulary ?? 'counts',
    canEcho: echoed !== null,
  };
}

class Session {
  readonly #client: JsonClient;
  readonly #lookup: TokenLookup;
  readonly #options: OpenAiTeacherOptions;
  readonly #tokenizer: Tokenizer;

  constructor(client: JsonClient, lookup: TokenLookup, options: OpenAiTeacherOptions) {
    this.#client = client;
    this.#lookup = lookup;
    this.#options = options;
    this.#tokenizer = options.tokenizer;
  }

  async onlyModel(path: string): Promise<string> {
    const answer = await this.#call(path, undefined);
    if (answer.status >= 400) throw this.#client.refused('the list of its models', answer);
    const { data } = (answer.body ?? {}) as { data?: unknown };
    if (!Array.isArray(data)) throw badAnswer('the list of models has no data');
    const ids = data.map((card) => (card as { id?: unknown } | null)?.id).filter((id) => typeof id === 'string');
    if (ids.length === 1) return ids[0]!;
    throw new QuasarError('infer.teacher_model', `teacher: ${this.#client.host} has ${ids.length} models`, {
      hint: `name one of: ${ids.slice(0, 20).join(', ').slice(0, 400)}`,
    });
  }

  /** The first way of asking that gives views of as many entries as are wanted. */
  async endpoint(root: string, model: string): Promise<Endpoint> {
    const kinds = this.#options.endpoint ? [this.#options.endpoint] : (['completions', 'chat'] as const);
    let refusal: JsonAnswer | null = null;
    for (const kind of kinds) {
      const isChat = kind === 'chat';
      const path = `${root}/v1/${isChat ? 'chat/' : ''}completions`;
      for (const hasExtensions of [true, false]) {
        const endpoint = { path, model, hasExtensions, isChat };
        const answer = await this.#ask(endpoint, PROBES[0]!, { max_tokens: 1 });
        if (answer.status < 400) {
          this.#requireViews(this.#read(answer, 1));
          return endpoint;
        }
        refusal ??= answer;
        // Neither another endpoint nor fewer fields help against these.
        if (answer.status === 401 || answer.status === 403) throw this.#client.refused('us', answer);
        if (answer.status === 404 || answer.status === 405) break;
        refusal = answer;
      }
    }
    throw this.#client.refused(`views of ${this.#options.topK} entries`, refusal!);
  }

  /** Null where the server has no `/tokenize`. @throws QuasarError infer.vocabulary_differs */
  async tokenizesAsWeDo(path: string, model: string): Promise<boolean> {
    for (const text of PROBES) {
      // vLLM and llama.cpp name the text and the option differently.
      const body = { model, prompt: text, content: text, add_special_tokens: false, add_special: false };
      const answer = await this.#call(path, body);
      if (answer.status >= 400) return false;
      const { tokens } = (answer.body ?? {}) as { tokens?: unknown };
      if (!Array.isArray(tokens)) throw badAnswer('/tokenize gives no tokens');
      this.#requireSame(text, tokens);
    }
    return true;
  }

  /**
   * How the server shows the tokens of a prompt: as ids, as text, or not at all.
   * @throws QuasarError infer.vocabulary_differs
   */
  async echoes(endpoint: Endpoint): Promise<'ids' | 'splits' | null> {
    let shown: 'ids' | 'splits' = 'ids';
    for (const text of PROBES) {
      const answer = await this.#ask(endpoint, text, { max_tokens: 1, echo: true });
      if (answer.status >= 400) return null;
      const { steps, promptTokens } = this.#read(answer, 8 * text.length + 2);
      // A server that does not know the field gives the continuation alone.
      if (!steps || steps.length <= 1) return null;
      if (!steps.every((step) => step.text.startsWith('token_id:'))) shown = 'splits';
      const ours = this.#tokenizer.encode(text);
      const theirs = steps.slice(0, promptTokens ?? steps.length - 1);
      // Some servers begin every text with a token of their own: the split of the text is what is compared.
      if (theirs[0]!.id !== null && this.#tokenizer.isSpecial(theirs[0]!.id)) theirs.shift();
      const ids = theirs.map((step, i) => {
        const token = ours[i];
        return token !== undefined && mayBe(step, token, this.#tokenizer) ? token : step.id;
      });
      this.#requireSame(text, ids, (i) => theirs[i]?.text);
    }
    return shown;
  }

  /** As many tokens more or less as ours, from one probe to the next: what a template adds is the same for all. */
  async requireCounts(endpoint: Endpoint): Promise<void> {
    const counts: number[] = [];
    for (const text of PROBES) {
      const answer = await this.#ask(endpoint, text, { max_tokens: 1 });
      const { promptTokens } = this.#read(answer, 1);
      if (promptTokens === null) {
        throw unsupported(`${this.#client.host} shows neither tokens nor their number, so its vocabulary is unknown`);
      }
      counts.push(promptTokens - this.#tokenizer.encode(text).length);
    }
    const at = counts.findIndex((extra) => extra !== counts[0] || extra < 0);
    if (at < 0) return;
    const ours = this.#tokenizer.encode(PROBES[at]!).length;
    const theirs = counts[at]! + ours - Math.max(0, counts[0]!);
    throw vocabularyDiffers(`${JSON.stringify(PROBES[at])} has ${ours} tokens here and ${theirs} there`);
  }

  async takesIds(endpoint: Endpoint): Promise<boolean> {
    const ids = [...this.#tokenizer.encode(PROBES[0]!)];
    const answer = await this.#ask(endpoint, ids, { max_tokens: 1 });
    if (answer.status >= 400) return false;
    const { steps, promptTokens } = this.#read(answer, 1);
    return steps !== null && promptTokens === ids.length;
  }

  #requireViews({ steps }: ReadAnswer): void {
    const { topK } = this.#options;
    if (!steps) throw unsupported(`${this.#client.host} answers without log-probabilities`);
    const got = steps[0]?.entries?.length ?? topK;
    if (got >= Math.min(topK, this.#lookup.vocabSize)) return;
    throw unsupported(`${this.#client.host} gives views of ${got} entries, ${topK} are wanted`);
  }

  #requireSame(text: string, theirs: readonly unknown[], name: (index: number) => unknown = (i) => theirs[i]): void {
    const ours = this.#tokenizer.encode(text);
    const at = Array.from({ length: Math.max(ours.length, theirs.length) }, (_, i) => i).find(
      (i) => ours[i] !== theirs[i],
    );
    if (at === undefined) return;
    const token =
      ours[at] === undefined ? 'the end' : `${JSON.stringify(this.#tokenizer.decode([ours[at]]))} (${ours[at]})`;
    const other = name(at) === undefined ? 'the end' : JSON.stringify(name(at)).slice(0, 60);
    throw vocabularyDiffers(
      `${JSON.stringify(text)} has ${ours.length} tokens here and ${theirs.length} there; token ${at} is ${token} and ${other}`,
    );
  }

  #read(answer: JsonAnswer, maxSteps: number): ReadAnswer {
    if (answer.status >= 400) throw this.#client.refused('a probe', answer);
    return readAnswer(answer.body, this.#lookup, maxSteps);
  }

  #ask({ path, model, isChat, hasExtensions }: Endpoint, prompt: string | number[], body: object): Promise<JsonAnswer> {
    const asked = isChat ? { messages: [{ role: 'user', content: prompt }] } : { prompt };
    const views = tokensOf({ prompts: isChat ? 'messages' : 'text', hasExtensions }, this.#options.topK);
    return this.#call(path, { model, ...asked, temperature: 0, ...body, ...views });
  }

  #call(path: string, body: unknown): Promise<JsonAnswer> {
    return this.#client.call(path, body, this.#options.signal);
  }
}
