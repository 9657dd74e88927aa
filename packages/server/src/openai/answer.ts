/**
 * @file One answer (a "choice"): tokens from the engine, text with stop strings applied, log-probabilities.
 * Streaming and whole answers both read this, so that they cannot differ.
 */
import { TokenDecoder, type Tokenizer } from '@quasar/model';
import type { TextEngine } from '../models/text-engine.ts';
import type { ChatRequest } from './chat-request.ts';
import { finite } from './completion.ts';
import { StopStrings } from './stop-strings.ts';

/** Wire format of one token's log-probability. */
export interface TokenLogprob {
  token: string;
  logprob: number;
  /** Exact, also where `token` shows U+FFFD because the bytes are only a part of a character. */
  bytes: number[];
}

export interface ContentLogprob extends TokenLogprob {
  top_logprobs: TokenLogprob[];
}

export interface Piece {
  text: string;
  /** The tokens that this text came from. Empty when none were asked for. */
  logprobs: ContentLogprob[];
}

export interface AnswerEnd {
  finishReason: 'stop' | 'length';
  /** Tokens made, those cut off by a stop string included. */
  completionTokens: number;
}

/** Yields pieces with text or log-probabilities in them; returns how it ended. Leaving the loop stops the engine. @throws the reason of `signal` */
export async function* answer(
  engine: TextEngine,
  prompt: Int32Array,
  request: ChatRequest,
  seed: string | number,
  signal: AbortSignal,
): AsyncGenerator<Piece, AnswerEnd> {
  const { maxNewTokens, temperature, topP, topK, topLogprobs } = request;
  const decoder = new TokenDecoder(engine.tokenizer);
  const stops = new StopStrings(request.stop);
  /** Tokens whose text is not out yet, with the place in the text where it starts. */
  let waiting: { start: number; logprob: ContentLogprob }[] = [];
  let decodedChars = 0;
  let sentChars = 0;
  let completionTokens = 0;

  const take = (text: string, isLast: boolean): Piece => {
    sentChars += text.length;
    const isOut = (start: number) => start < sentChars || (isLast && !stops.isStopped);
    const out = waiting.filter((one) => isOut(one.start));
    waiting = waiting.filter((one) => !isOut(one.start));
    return { text, logprobs: out.map((one) => one.logprob) };
  };

  const stream = engine.stream(prompt, {
    maxNewTokens,
    temperature,
    topP,
    seed,
    signal,
    ...(topK !== null && { topK }),
    ...(topLogprobs && { topLogprobs }),
  });
  for await (const { token, logprob, top } of stream) {
    signal.throwIfAborted();
    completionTokens++;
    if (topLogprobs !== null) {
      const describe = (id: number, value: number) => describeToken(engine.tokenizer, id, value);
      const top_logprobs = (top ?? []).slice(0, topLogprobs).map((one) => describe(one.id, one.logprob));
      waiting.push({ start: decodedChars, logprob: { ...describe(token, logprob), top_logprobs } });
    }
    const text = decoder.push(token);
    decodedChars += text.length;
    const piece = take(stops.push(text), false);
    if (piece.text || piece.logprobs.length > 0) yield piece;
    if (stops.isStopped) return { finishReason: 'stop', completionTokens };
  }
  const piece = take(stops.push(decoder.flush()) + stops.end(), true);
  if (piece.text || piece.logprobs.length > 0) yield piece;
  const isCut = completionTokens >= maxNewTokens && !stops.isStopped;
  return { finishReason: isCut ? 'length' : 'stop', completionTokens };
}

function describeToken(tokenizer: Tokenizer, id: number, logprob: number): TokenLogprob {
  const bytes = [...(tokenizer.vocabulary.tokens[id] ?? [])];
  return { token: tokenizer.decode([id], { specials: true }), logprob: finite(logprob), bytes };
}
