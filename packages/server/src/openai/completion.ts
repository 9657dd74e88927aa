/** @file One choice of a completion: raw tokens after a raw prompt, with what the model thought at each of them. */
import { TokenDecoder, type Tokenizer } from '@quasar/model';
import type { TextEngine } from '../models/text-engine.ts';
import type { CompletionRequest } from './completion-request.ts';
import { StopStrings } from './stop-strings.ts';

/** Wire format; one item per token, that of the first token of an echoed prompt is null. */
export interface CompletionLogprobs {
  tokens: string[];
  token_logprobs: (number | null)[];
  /** Of tokens that are written alike, as parts of characters may be, the more likely one. */
  top_logprobs: (Record<string, number> | null)[];
  /** Characters from the beginning of the prompt to the token. */
  text_offset: number[];
}

export interface Completed {
  text: string;
  logprobs: CompletionLogprobs | null;
  finishReason: 'stop' | 'length';
  completionTokens: number;
}

/** @throws the reason of `signal`; as `Engine.stream` and `Engine.view` */
export async function complete(
  engine: TextEngine,
  prompt: Int32Array,
  request: CompletionRequest,
  seed: string | number,
  signal: AbortSignal,
): Promise<Completed> {
  const { maxNewTokens, temperature, topP, topK, topLogprobs } = request;
  const { tokenizer } = engine;
  const promptText = tokenizer.decode(prompt, { specials: true });
  const list = new TokenList(tokenizer, request.namesIds);
  if (request.echo && topLogprobs !== null) {
    const [view] = await engine.view([{ tokens: prompt, from: 1 }], Math.max(1, topLogprobs));
    const { top, logprobs } = view!;
    const decoder = new TokenDecoder(tokenizer, { specials: true });
    let offset = 0;
    prompt.forEach((token, i) => {
      const row = (i - 1) * top.k;
      const entries = Array.from({ length: topLogprobs }, (_, n) => n)
        .filter((n) => n < top.k)
        .map((n) => ({ id: top.ids[row + n]!, logprob: top.logprobs[row + n]! }));
      list.push(token, offset, i === 0 ? null : { logprob: logprobs[i - 1]!, entries });
      offset += decoder.push(token).length;
    });
  }
  const decoder = new TokenDecoder(tokenizer);
  const stops = new StopStrings(request.stop);
  let text = '';
  let decodedChars = 0;
  let completionTokens = 0;
  let isEnd = false;
  const stream = engine.stream(prompt, {
    ...{ maxNewTokens, temperature, topP, seed, signal },
    includeStop: request.includeEnd,
    ...(request.ignoreEnd && { stopTokens: [] }),
    ...(topK !== null && { topK }),
    ...(topLogprobs && { topLogprobs }),
  });
  for await (const { token, logprob, top = [] } of stream) {
    signal.throwIfAborted();
    completionTokens++;
    isEnd = !request.ignoreEnd && tokenizer.stopIds.includes(token);
    if (topLogprobs !== null)
      list.push(token, promptText.length + decodedChars, { logprob, entries: top.slice(0, topLogprobs) });
    const piece = decoder.push(token);
    decodedChars += piece.length;
    text += stops.push(piece);
    if (stops.isStopped) break;
  }
  text += stops.push(decoder.flush()) + stops.end();
  const isCut = completionTokens >= maxNewTokens && !stops.isStopped && !isEnd;
  return {
    text: request.echo ? promptText + text : text,
    logprobs: topLogprobs === null ? null : list.wire,
    finishReason: isCut ? 'length' : 'stop',
    completionTokens,
  };
}

class TokenList {
  readonly wire: CompletionLogprobs = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
  readonly #tokenizer: Tokenizer;
  readonly #namesIds: boolean;

  constructor(tokenizer: Tokenizer, namesIds: boolean) {
    this.#tokenizer = tokenizer;
    this.#namesIds = namesIds;
  }

  /** @param view null: nothing predicts this token */
  push(
    token: number,
    offset: number,
    view: { logprob: number; entries: readonly { id: number; logprob: number }[] } | null,
  ): void {
    const { tokens, token_logprobs, top_logprobs, text_offset } = this.wire;
    tokens.push(this.#name(token));
    text_offset.push(offset);
    token_logprobs.push(view && finite(view.logprob));
    // From the least likely on: of equal names the last one stays.
    const pairs = view?.entries.map(({ id, logprob }) => [this.#name(id), finite(logprob)] as const).reverse();
    top_logprobs.push(pairs ? Object.fromEntries(pairs) : null);
  }

  #name(id: number): string {
    return this.#namesIds ? `token_id:${id}` : this.#tokenizer.decode([id], { specials: true });
  }
}

/** JSON has no -Infinity; -9999 is what OpenAI documents for "as good as impossible". */
export function finite(logprob: number): number {
  return Math.max(logprob, -9999);
}
