/**
 * @file Short texts under several demands that a program can check (after IFEval, Zhou et al. 2023): how many words, with
 * which of them, how it begins and ends, in which case and form. Many replies are right: the check reads the demands from
 * `item.content`. The level sets how many demands there are.
 */
import { QuasarError, type Rng } from '@quasar/base';
import { CORRECT, MAX_LONG_REPLY_CHARS, wrong } from '../check.ts';
import type { Task, Verdict, WorldItem } from '../types.ts';
import { ANIMALS, COLOURS, FRUITS, phrase, THINGS, WORDS } from '../words.ts';

/** Null: free. Words are compared without case. */
interface Demands {
  count: number;
  include: { word: string; times: number } | null;
  without: string | null;
  first: string | null;
  last: string | null;
  letters: 'lower' | 'upper' | null;
  /** Each line begins with a dash. */
  lines: number | null;
  quoted: boolean;
}

type Part = 'include' | 'without' | 'first' | 'last' | 'letters' | 'lines' | 'quoted';
const PARTS: readonly Part[] = ['include', 'without', 'first', 'last', 'letters', 'lines', 'quoted'];

function draw(rng: Rng, level: number): Demands {
  const chosen = new Set<Part>(rng.sample(PARTS, level + 1));
  // Dashes of a list would stand inside the quotes: one form at a time.
  if (chosen.has('lines')) chosen.delete('quoted');
  const [word, without, first, last] = rng.sample(WORDS, 4) as [string, string, string, string];
  return {
    count: rng.int(6, 12),
    include: chosen.has('include') ? { word, times: rng.int(1, 3) } : null,
    without: chosen.has('without') ? without : null,
    first: chosen.has('first') ? first : null,
    last: chosen.has('last') ? last : null,
    letters: chosen.has('letters') ? rng.pick(['lower', 'upper'] as const) : null,
    lines: chosen.has('lines') ? rng.int(2, 3) : null,
    quoted: chosen.has('quoted'),
  };
}

function describe({ count, include, without, first, last, letters, lines, quoted }: Demands): string {
  const sentences = [`Use exactly ${count} words.`];
  if (include)
    sentences.push(`Say "${include.word}" exactly ${include.times === 1 ? 'once' : `${include.times} times`}.`);
  if (without) sentences.push(`Do not say "${without}".`);
  if (first) sentences.push(`The first word is "${first}".`);
  if (last) sentences.push(`The last word is "${last}".`);
  if (letters) sentences.push(letters === 'lower' ? 'Use no capital letters.' : 'Use capital letters only.');
  if (lines) sentences.push(`Write ${lines} lines, each beginning with "- ".`);
  if (quoted) sentences.push('Put all of it in double quotes.');
  return sentences.join(' ');
}

/** A text that meets the demands. */
function write(demands: Demands, rng: Rng): string {
  const { count, include, without, first, last, letters, lines, quoted } = demands;
  const taken: (string | null | undefined)[] = [include?.word, without, first, last];
  const fillers = rng.shuffle([...ANIMALS, ...FRUITS, ...COLOURS, ...THINGS].filter((word) => !taken.includes(word)));
  const words: string[] = first === null ? [] : [first];
  for (let i = 0; i < (include?.times ?? 0); i++) words.push(include!.word);
  while (words.length < count - (last ? 1 : 0)) words.push(fillers.pop()!);
  if (last) words.push(last);
  const rows = lines ?? 1;
  const text = Array.from({ length: rows }, (_, row) => {
    const part = words.slice(Math.floor((row * count) / rows), Math.floor(((row + 1) * count) / rows)).join(' ');
    return lines ? `- ${part}` : part;
  }).join('\n');
  const cased = letters === 'upper' ? text.toUpperCase() : text;
  return quoted ? `"${cased}"` : cased;
}

function judge(demands: Demands, reply: unknown): Verdict {
  if (typeof reply !== 'string' || reply.length > MAX_LONG_REPLY_CHARS) return wrong('not a short text');
  const { count, include, without, first, last, letters, lines, quoted } = demands;
  let text = reply.trim();
  if (quoted) {
    if (text.length < 2 || !text.startsWith('"') || !text.endsWith('"')) return wrong('not in double quotes');
    text = text.slice(1, -1);
  }
  if (letters === 'lower' && text !== text.toLowerCase()) return wrong('a capital letter is there');
  if (letters === 'upper' && text !== text.toUpperCase()) return wrong('not in capital letters');
  if (lines !== null) {
    const rows = text.split('\n').filter((row) => row.trim() !== '');
    if (rows.length !== lines) return wrong('another number of lines');
    if (rows.some((row) => !row.trimStart().startsWith('- '))) return wrong('a line without its dash');
  }
  const words: string[] = text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
  if (words.length !== count) return wrong('another number of words');
  if (include && words.filter((word) => word === include.word).length !== include.times)
    return wrong('a word is not there as often as asked');
  if (without && words.includes(without)) return wrong('the forbidden word is there');
  if (first && words[0] !== first) return wrong('another first word');
  if (last && words.at(-1) !== last) return wrong('another last word');
  return CORRECT;
}

function readDemands(item: WorldItem): Demands {
  try {
    return (JSON.parse(item.content) as { demands: Demands }).demands;
  } catch (cause) {
    throw new QuasarError('world.bad_item', 'constraints item: content is not the JSON of its demands', {
      hint: 'check replies with the item as generateItem returned it',
      cause,
    });
  }
}

export const constraints: Task = {
  name: 'constraints',
  levels: 4,
  generate(rng, level) {
    const topic = rng.pick([...ANIMALS, ...FRUITS]);
    const demands = draw(rng, level);
    const question = phrase(rng, level, [
      'Write about the #.',
      'Say something about the #.',
      'What can you tell about the #?',
    ]);
    return {
      task: 'constraints',
      level,
      content: JSON.stringify({ topic, demands }),
      messages: [{ role: 'user', content: `${question.replace('#', topic)} ${describe(demands)}` }],
      answer: write(demands, rng.fork('answer')),
    };
  },
  check: (item, reply) => judge(readDemands(item), reply),
};
