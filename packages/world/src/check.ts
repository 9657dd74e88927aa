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
