/**
 * @file One fact in a long text (after RULER, Hsieh et al. 2024): the code of a thing in a city among facts of no use, and
 * among confusers that differ in colour, thing or city. The level sets how many; level 3 is the published size.
 */
import { checkWords } from '../check.ts';
import type { Task } from '../types.ts';
import { CITIES, COLOURS, NAMES, phrase, THINGS, WORDS } from '../words.ts';

/** Sentences of no use, and sentences that nearly answer. */
const SIZES = [
  [5, 1],
  [10, 2],
  [20, 3],
  [40, 3],
] as const;
const DOINGS = ['waits for', 'likes', 'paints', 'draws', 'has lost', 'looks for'];

export const needle: Task = {
  name: 'needle',
  levels: 4,
  generate(rng, level) {
    const [distractors, confusers] = SIZES[level]!;
    const [colour, otherColour] = rng.sample(COLOURS, 2) as [string, string];
    const [thing, otherThing] = rng.sample(THINGS, 2) as [string, string];
    const [city, otherCity] = rng.sample(CITIES, 2) as [string, string];
    const places = [
      [colour, thing, city],
      [otherColour, thing, city],
      [colour, otherThing, city],
      [colour, thing, otherCity],
    ].slice(0, confusers + 1);
    const codes = new Set<number>();
    while (codes.size < places.length) codes.add(rng.int(1000, 9999));
    const [code, ...others] = codes;
    const facts = [code, ...others].map((value, i) => {
      const [of, what, where] = places[i]!;
      return `The code of the ${of} ${what} in ${where} is ${value}.`;
    });
    const filler = Array.from(
      { length: distractors },
      () => `${rng.pick(NAMES)} ${rng.pick(DOINGS)} the ${rng.pick(WORDS)} in ${rng.pick(CITIES)}.`,
    );
    const text = rng.shuffle([...filler, ...facts]).join(' ');
    const asked = `the code of the ${colour} ${thing} in ${city}`;
    const question = phrase(rng, level, ['What is #?', 'Give #.', 'Find #.', 'Say #.']).replace('#', asked);
    return {
      task: 'needle',
      level,
      content: `${text} ${asked}`,
      messages: [{ role: 'user', content: `${text} ${question}` }],
      answer: String(code),
    };
  },
  check: (item, reply) => checkWords([item.answer], reply),
};
