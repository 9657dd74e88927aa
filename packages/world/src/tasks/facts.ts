/**
 * @file Facts that must be joined (after bAbI tasks 1 to 3, Weston et al. 2015): who is with whom, who is where.
 *
 * Level 0 looks one fact up. Level n needs n + 1 facts, with unrelated ones between them and, from level 2, in any
 * order.
 */
import type { Rng } from '@quasar/base';
import { checkWords } from '../check.ts';
import type { Task, WorldItem } from '../types.ts';
import { CITIES, NAMES, phrase } from '../words.ts';

/** `hops` facts from the first person to a city: A is with B, B is with C, C is in the city. */
function chain(people: readonly string[], city: string): string[] {
  return people.map((who, i) => (i + 1 < people.length ? `${who} is with ${people[i + 1]}.` : `${who} is in ${city}.`));
}

function item(rng: Rng, level: number, facts: string[], who: string, answer: string): WorldItem {
  const question = phrase(rng, level, ['Where is #?', 'Which city is # in?', 'In which city is #?', 'Find #.']);
  return {
    task: 'facts',
    level,
    content: `${facts.join(' ')} ${who}`,
    messages: [{ role: 'user', content: `${facts.join(' ')} ${question.replace('#', who)}` }],
    answer,
  };
}

/** Somebody travels; only the last place counts. */
function travel(rng: Rng, level: number): WorldItem {
  const [who, other] = rng.sample(NAMES, 2) as [string, string];
  const cities = rng.sample(CITIES, level + 2);
  const facts = cities.map((city, i) => `${i === 1 ? other : who} goes to ${city}.`);
  const asked = rng.pick([who, other]);
  return item(rng, level, facts, asked, asked === other ? cities[1]! : cities.at(-1)!);
}

export const facts: Task = {
  name: 'facts',
  levels: 4,
  generate(rng, level) {
    if (level > 0 && rng.next() < 0.3) return travel(rng, level);
    const hops = level + 1;
    const unrelated = level === 3 ? 2 : 1;
    const people = rng.sample(NAMES, hops + unrelated);
    const cities = rng.sample(CITIES, unrelated + 1);
    const told = chain(people.slice(0, hops), cities[0]!);
    const others = people.slice(hops).map((who, i) => `${who} is in ${cities[i + 1]}.`);
    const all = level === 1 ? (rng.next() < 0.5 ? [...others, ...told] : [...told, ...others]) : [...told, ...others];
    return item(rng, level, level === 1 ? all : rng.shuffle(all), people[0]!, cities[0]!);
  },
  check: (asked, reply) => checkWords([asked.answer, `in ${asked.answer}`], reply),
};
