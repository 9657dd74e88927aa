/**
 * @file Putting people in order from pairwise statements (after the ordering problems of BIG-bench): the statements form one
 * chain, told in any order and in both directions. The level sets the number of people.
 */
import { checkWords } from '../check.ts';
import type { Task } from '../types.ts';
import { NAMES, phrase } from '../words.ts';

const PEOPLE = [3, 4, 5, 7] as const;
const RANKS = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh'];

export const ordering: Task = {
  name: 'ordering',
  levels: 4,
  generate(rng, level) {
    const people = rng.sample(NAMES, PEOPLE[level]!);
    const statements = people.slice(1).map((later, i) => {
      const earlier = people[i]!;
      return rng.next() < 0.5 ? `${earlier} is before ${later}.` : `${later} is after ${earlier}.`;
    });
    const told = rng.shuffle(statements).join(' ');
    const asked = rng.int(0, people.length - 1);
    const question = phrase(rng, level, ['Who is #?', 'Who comes #?', 'Name the one who is #.', 'Say who is #.']);
    return {
      task: 'ordering',
      level,
      content: `${told} ${asked}`,
      messages: [{ role: 'user', content: `${told} ${question.replace('#', RANKS[asked]!)}` }],
      answer: people[asked]!,
    };
  },
  check: (item, reply) => checkWords([item.answer], reply),
};
