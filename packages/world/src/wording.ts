/**
 * @file The same question in other words: synonyms, a question in place of an order, slips of the keyboard, other case, other
 * white space. Nobody can look questions up by their text, and a model that depends on one wording shows it.
 *
 * Only words of the wording change. Whatever occurs in `item.content` or in the answer is what is asked, and stays; so do
 * lines of a program and the line that says how to answer. The draws are keyed by SHA-256(text) xor SHA-256(seed), so each
 * text is changed in its own way, the same on every machine.
 */
import { createHash } from 'node:crypto';
import { Rng } from '@quasar/base';
import { ANSWER_LINE } from './check.ts';
import type { WorldItem } from './types.ts';

export const WORDING_CHANGES = ['synonym', 'question', 'typo', 'case', 'space'] as const;
export type WordingChange = (typeof WORDING_CHANGES)[number];

/** Interchangeable where the tasks of the world use them. */
const SYNONYMS: Record<string, readonly string[]> = {
  compute: ['calculate', 'evaluate'],
  determine: ['calculate', 'work out'],
  find: ['give', 'tell'],
  give: ['tell', 'state'],
  name: ['state'],
  copy: ['repeat'],
  repeat: ['copy'],
  backwards: ['reversed'],
  run: ['execute'],
  output: ['result'],
  list: ['name'],
  tell: ['say'],
  print: ['write'],
  please: ['kindly'],
  number: ['count'],
  takes: ['gets'],
  returns: ['gives back'],
  define: ['write'],
};

/** Words of the wording that have no synonym here; a slip in them costs no meaning. */
const PLAIN = 'what which where how many does this that reply with only code will these'.split(' ');
const WORDING = new Set([...Object.keys(SYNONYMS), ...PLAIN]);

/** Orders that may become "Could you ...?". */
const ORDERS = /^(Compute|Find|Give|Name|Say|Write|Tell|List|Define|Determine|Count|Show|Put|Use|Add|Take|Copy|Sort) /;

const CHANCE: Record<WordingChange, number> = { synonym: 0.5, question: 0.5, typo: 0.3, case: 0.5, space: 0.3 };

/** @param seed of the round. Returns an item with the same content and answer */
export function reword(item: WorldItem, seed: string, changes: readonly WordingChange[]): WorldItem {
  const at = item.messages.findLastIndex(({ role }) => role === 'user');
  const message = item.messages[at];
  if (!message || changes.length === 0) return item;
  const rng = new Rng(keyOf(message.content, seed));
  const has = new Set(
    changes.filter((change) => rng.next() < CHANCE[change] || change === 'typo' || change === 'space'),
  );
  const kept = new Set(`${item.content} ${item.answer}`.toLowerCase().match(/[\p{L}\p{N}_]+/gu));
  const letters = has.has('case')
    ? rng.pick([(word: string) => word.toLowerCase(), (word: string) => word.toUpperCase()])
    : null;
  const word = (text: string): string => {
    const bare = text.toLowerCase();
    if (!WORDING.has(bare) || kept.has(bare)) return text;
    let changed = text;
    const synonyms = SYNONYMS[bare];
    if (has.has('synonym') && synonyms) changed = likeFirst(rng.pick(synonyms), text);
    if (has.has('typo') && rng.next() < CHANCE.typo) changed = slip(rng, changed);
    if (letters) changed = letters(changed);
    return has.has('space') && rng.next() < CHANCE.space ? ` ${changed}` : changed;
  };
  const lines = message.content.split('\n').map((line, _, all) => {
    if (line === ANSWER_LINE || (all.length > 1 && item.content.includes(line))) return line;
    const asked = has.has('question') ? asQuestion(line) : line;
    return asked.replace(/\p{L}+/gu, word);
  });
  const messages = item.messages.with(at, { ...message, content: lines.join('\n') });
  return { ...item, messages };
}

function keyOf(text: string, seed: string): string {
  const digest = (of: string) => createHash('sha256').update(of).digest();
  const [a, b] = [digest(text), digest(seed)];
  return Buffer.from(a.map((byte, i) => byte ^ b[i]!)).toString('hex');
}

/** The last sentence, when it is an order that ends in a full stop. */
function asQuestion(line: string): string {
  const from = line.lastIndexOf('. ', line.length - 2);
  const [before, sentence] = from < 0 ? ['', line] : [line.slice(0, from + 2), line.slice(from + 2)];
  if (!ORDERS.test(sentence) || !sentence.endsWith('.')) return line;
  return `${before}Could you ${sentence[0]!.toLowerCase()}${sentence.slice(1, -1)}?`;
}

function likeFirst(text: string, model: string): string {
  return /^\p{Lu}/u.test(model) ? text[0]!.toUpperCase() + text.slice(1) : text;
}

/** Two inner letters change places, or one is said twice; short words stay. */
function slip(rng: Rng, text: string): string {
  if (text.length < 4) return text;
  const at = rng.int(1, text.length - 3);
  return rng.next() < 0.5
    ? text.slice(0, at) + text[at + 1] + text[at] + text.slice(at + 2)
    : text.slice(0, at) + text[at] + text.slice(at);
}
