/**
 * @file Comparing a reply with the one right answer.
 *
 * Replies come from untrusted models: any text, any length, lone surrogates, control characters. Every function
 * here is linear in at most `MAX_REPLY_CHARS` characters and throws on nothing. Tolerated: white space around and
 * between words, letter case (unless the question is about case) and one final full stop. Nothing else: a reply
 * that adds words has not answered.
 */
import { canonicalJson } from '@quasar/base';
import type { Verdict } from './types.ts';

/** Longer than any right answer by far; a longer reply is wrong without being read. */
export const MAX_REPLY_CHARS = 1000;

export const CORRECT: Verdict = { correct: true, reason: 'right answer' };

export function wrong(reason: string): Verdict {
  return { correct: false, reason };
}

/** The reply without outer and repeated white space; `null` when it is no text or too long to be an answer. */
export function tidy(reply: unknown): string | null {
  if (typeof reply !== 'string' || reply.length > MAX_REPLY_CHARS) return null;
  return reply.trim().replace(/\s+/g, ' ');
}

/** Case-blind form used by `checkWords`: tidied, lower case, without one final full stop. */
function plain(text: string): string {
  return text.toLowerCase().replace(/ ?\.$/, '');
}

/** Right when the reply is one of `accepted` up to white space, case and a final full stop. */
export function checkWords(accepted: readonly string[], reply: unknown): Verdict {
  const text = tidy(reply);
  if (text === null) return wrong('not a short text');
  return accepted.some((answer) => plain(tidy(answer) ?? '') === plain(text)) ? CORRECT : wrong('another answer');
}

/** Right when the reply is `answer` up to white space; case and punctuation count. */
export function checkExact(answer: string, reply: unknown): Verdict {
  const text = tidy(reply);
  if (text === null) return wrong('not a short text');
  return text === tidy(answer) ? CORRECT : wrong('another answer');
}

/** Asks for the form that `checkNumber` reads. */
export const ANSWER_LINE = 'End with a line that says "Answer:" and the number.';

/** Longest reply that is looked at for its answer line, its program or its JSON: reasoning before the answer counts. */
export const MAX_LONG_REPLY_CHARS = 8000;

/** What stands behind the last line that begins with `Answer:`; the whole reply when there is none. */
export function finalAnswer(reply: string): string {
  const lines = reply.split('\n');
  const last = lines.findLast((line) => /^\s*\**answer:/i.test(line));
  return last === undefined ? reply : last.replace(/^\s*\**answer:\**/i, '');
}

/** Right when the final answer is the number of the item's answer. */
export function checkNumber(item: { answer: string }, reply: unknown): Verdict {
  if (typeof reply !== 'string' || reply.length > MAX_LONG_REPLY_CHARS) return wrong('not a short text');
  return checkWords([finalAnswer(item.answer)], finalAnswer(reply));
}

/** The inside of the only fenced block of a reply; the whole reply when nothing is fenced. */
export function unfenced(reply: string): string {
  const parts = reply.split(/^```.*$/m);
  return parts.length === 3 ? parts[1]! : reply;
}

/** Right when the reply is JSON for the same value; key order and spaces do not matter. */
export function checkJson(answer: string, reply: unknown): Verdict {
  const text = tidy(reply);
  if (text === null) return wrong('not a short text');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return wrong('not JSON');
  }
  return canonicalJson(value) === canonicalJson(JSON.parse(answer)) ? CORRECT : wrong('another call');
}
