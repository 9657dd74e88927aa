/** @file Where a prompt ends and a continuation begins, when a server cut the text into tokens itself. */
import { QuasarError } from '@quasar/base';
import type { Tokenizer } from '@quasar/model';
import { concatTop } from '../top-k.ts';
import type { Trace } from '../types.ts';
import type { Step } from './answer-shapes.ts';
import { badAnswer } from './json-client.ts';
import type { AnswerReport } from './teacher.ts';
import { viewRow } from './view-rows.ts';

/** A merge at the border eats a token or two; more is another tokenizer. */
const MAX_MOVED_TOKENS = 8;

/**
 * Tokens of our prompt that the server saw as the same tokens. From there on everything is what the server saw: where its
 * tokens straddle the end of our prompt, the prompt is cut back to the last border that both have.
 * @param echoed the prompt as the server cut it, then the continuation
 * @throws QuasarError infer.prompt_not_aligned
 */
export function commonPrompt(prompt: Int32Array, echoed: readonly Step[], tokenizer: Tokenizer): number {
  let n = 0;
  while (n < prompt.length && n < echoed.length && mayBe(echoed[n]!, prompt[n]!, tokenizer)) n++;
  if (n >= 1 && prompt.length - n <= MAX_MOVED_TOKENS) return n;
  const ours = JSON.stringify(tokenizer.decode(prompt.subarray(n, n + 1), { specials: true }));
  const theirs = n < echoed.length ? JSON.stringify(echoed[n]!.text.slice(0, 40)) : 'nothing';
  throw notAligned(`token ${n} of ${prompt.length} is ${ours} here and ${theirs} there`);
}

/**
 * Whether a token of a server is one of ours. Text of part of a character does not say which part: it may be any token that is
 * one, and where it is another, the tokens after it differ.
 */
export function mayBe({ id, text }: Pick<Step, 'id' | 'text'>, ours: number, tokenizer: Tokenizer): boolean {
  return id === ours || (id === null && text.includes('\ufffd') && tokenizer.decode([ours]).includes('\ufffd'));
}

/** @throws QuasarError infer.prompt_not_aligned */
export function requirePromptTokens(expected: number, got: number | null): void {
  if (got === expected) return;
  throw notAligned(`it has ${expected} tokens here, and ${got ?? 'the server does not say how many'} there`);
}

function notAligned(what: string): QuasarError {
  return new QuasarError('infer.prompt_not_aligned', `teacher: the server reads another prompt: ${what}`, {
    hint: 'the server may add a token of its own or have another vocabulary; prefer one that takes token ids',
  });
}

/**
 * The trace of a prompt and the positions after it; it ends before a token that we do not have.
 * @throws QuasarError infer.teacher_answer
 */
export function traceOf(
  prompt: Int32Array,
  steps: readonly Step[],
  k: number,
  vocabSize: number,
  report: AnswerReport,
): Trace {
  const cut = steps.findIndex(({ id }) => id === null);
  report.cutTraces += Number(cut >= 0);
  const known = cut < 0 ? steps : steps.slice(0, cut);
  const rows = known.map(({ entries, text }) => {
    if (entries) return viewRow(entries, k, vocabSize, report);
    throw badAnswer(`no view of ${JSON.stringify(text.slice(0, 40))}`);
  });
  return { prompt, continuation: Int32Array.from(known, ({ id }) => id!), top: concatTop(k, rows) };
}
