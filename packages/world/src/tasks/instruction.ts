/**
 * @file Instructions whose every demand can be checked by a program (after IFEval, Zhou et al. 2023).
 *
 * Level 0 dictates the words. Level 1 adds capitals and separators. Levels 2 and 3 leave the choice of words to the
 * reply ("Name 2 animals"), so many replies are right: the check reads the demands from `item.content`.
 */
import { QuasarError, type Rng } from '@quasar/base';
import { CORRECT, tidy, wrong } from '../check.ts';
import type { Task, Verdict, WorldItem } from '../types.ts';
import { ANIMALS, COLOURS, FRUITS, phrase, WORDS } from '../words.ts';

const CATEGORIES: Record<string, readonly string[]> = { animal: ANIMALS, fruit: FRUITS, colour: COLOURS };
const SEPARATORS = [' ', ', ', '-'] as const;
const SEPARATOR_NAMES: Record<string, string> = { ', ': 'commas', '-': 'dashes' };

/** What a reply must be: `words` as dictated, or `count` different members of a category; then `last`; and in which style. */
interface Demands {
  words: string[] | null;
  category: string;
  count: number;
  without: string;
  last: string;
  separator: (typeof SEPARATORS)[number];
  capitals: boolean;
}

function dictated(rng: Rng, level: number): [Demands, string] {
  const [word, last] = rng.sample(WORDS, 2) as [string, string];
  const count = rng.int(2, 4);
  const plain = level === 0 || rng.next() < 0.3;
  const capitals = !plain && rng.next() < 0.6;
  const separator = plain || rng.next() < 0.3 ? ' ' : rng.pick(SEPARATORS);
  const words = Array.from({ length: count }, () => word);
  const text = phrase(rng, level, ['Say', 'Write']);
  return [
    { words, category: '', count, without: '', last, separator, capitals },
    `${text} ${word} ${count} times, then ${last}.${style(separator, capitals)}`,
  ];
}

function open(rng: Rng, level: number): [Demands, string] {
  const category = rng.pick(Object.keys(CATEGORIES));
  const count = rng.int(2, level === 2 ? 3 : 4);
  const without = rng.pick(CATEGORIES[category]!);
  const last = rng.pick(WORDS.filter((word) => !CATEGORIES[category]!.includes(word)));
  const capitals = level === 3 && rng.next() < 0.5;
  const separator = level === 3 ? rng.pick(SEPARATORS) : rng.pick([' ', ', '] as const);
  const text = phrase(rng, level, ['Name', 'List', 'Give me', 'Tell me']);
  return [
    { words: null, category, count, without, last, separator, capitals },
    `${text} ${count} ${category}s but not ${without}, then say ${last}.${style(separator, capitals)}`,
  ];
}

function style(separator: string, capitals: boolean): string {
  const between = separator === ' ' ? '' : ` Put ${SEPARATOR_NAMES[separator]} between the words.`;
  return between + (capitals ? ' Use capital letters.' : '');
}

function write(demands: Demands, words: string[]): string {
  const text = words.join(demands.separator);
  return demands.capitals ? text.toUpperCase() : text;
}

function readDemands(item: WorldItem): Demands {
  try {
    return JSON.parse(item.content) as Demands;
  } catch (cause) {
    throw new QuasarError('world.bad_item', 'instruction item: content is not the JSON of its demands', {
      hint: 'check replies with the item as generateItem returned it',
      cause,
    });
  }
}

function judge(demands: Demands, reply: string): Verdict {
  const text = tidy(reply);
  if (text === null) return wrong('not a short text');
  if (demands.capitals && text !== text.toUpperCase()) return wrong('not in capital letters');
  const bare = text.toLowerCase().replace(/ ?\.$/, '');
  const words = bare.split(demands.separator === ' ' ? /,? / : demands.separator);
  if (words.pop() !== demands.last) return wrong('another last word');
  if (demands.words) return words.join(' ') === demands.words.join(' ') ? CORRECT : wrong('other words');
  if (words.length !== demands.count) return wrong('another number of words');
  if (new Set(words).size !== words.length) return wrong('a word is said twice');
  if (words.some((word) => word === demands.without)) return wrong('the forbidden word is there');
  return words.every((word) => CATEGORIES[demands.category]?.includes(word))
    ? CORRECT
    : wrong('a word of another kind');
}

export const instruction: Task = {
  name: 'instruction',
  levels: 4,
  generate(rng, level) {
    const [demands, question] = level < 2 ? dictated(rng, level) : open(rng, level);
    const allowed = CATEGORIES[demands.category]?.filter((word) => word !== demands.without) ?? [];
    const words = demands.words ?? allowed.slice(0, demands.count);
    return {
      task: 'instruction',
      level,
      content: JSON.stringify(demands),
      messages: [{ role: 'user', content: question }],
      answer: write(demands, [...words, demands.last]),
    };
  },
  check: (item, reply) => judge(readDemands(item), reply),
};
