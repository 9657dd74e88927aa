/**
 * @file Keeping to what was said over many turns: things about the user are told one by one, some are corrected later, other
 * questions come between, and the last turn asks for what holds now.
 *
 * Level 0: two facts, one corrected. Level 1: three facts. Level 2: two corrections of the same fact. Level 3: two facts
 * asked for at once.
 */
import type { Rng } from '@quasar/base';
import { checkWords } from '../check.ts';
import type { Task, WorldMessage } from '../types.ts';
import { ANIMALS, CITIES, COLOURS, phrase, THINGS } from '../words.ts';

const TRAITS = [
  {
    values: CITIES,
    told: 'I live in #.',
    changed: 'I have moved to #.',
    short: 'city',
    ask: ['Where do I live now?', 'Which city is mine now?', 'Name the city where I live now.'],
  },
  {
    values: COLOURS,
    told: 'I like #.',
    changed: 'Now I like # more.',
    short: 'colour',
    ask: ['Which colour do I like most now?', 'What is my colour now?', 'Name the colour that I like now.'],
  },
  {
    values: THINGS,
    told: 'I need a #.',
    changed: 'No, I need a #.',
    short: 'thing',
    ask: ['What do I need?', 'Which thing do I need?', 'Name what I need.'],
  },
  {
    values: ANIMALS,
    told: 'I have a #.',
    changed: 'I gave it away and have a # now.',
    short: 'animal',
    ask: ['Which animal have I now?', 'What animal is mine now?', 'Name my animal.'],
  },
] as const;

const FACTS = [2, 3, 3, 4] as const;
const CORRECTIONS = [1, 1, 2, 2] as const;

function aside(rng: Rng): WorldMessage[] {
  const [a, b] = [rng.int(1, 9), rng.int(1, 9)];
  return [
    { role: 'user', content: `Add ${a} and ${b}.` },
    { role: 'assistant', content: String(a + b) },
  ];
}

export const dialogue: Task = {
  name: 'dialogue',
  levels: 4,
  generate(rng, level) {
    const traits = rng.sample(TRAITS, FACTS[level]!);
    const values = traits.map((trait) => rng.sample(trait.values, 1 + CORRECTIONS[level]!));
    const corrected = 0;
    const turn = (content: string): WorldMessage[] => [
      { role: 'user', content },
      { role: 'assistant', content: 'Good to know.' },
    ];
    const messages = rng.shuffle(traits.map((trait, i) => trait.told.replace('#', values[i]![0]!))).flatMap(turn);
    for (let i = 1; i <= CORRECTIONS[level]!; i++) {
      messages.push(...aside(rng), ...turn(traits[corrected]!.changed.replace('#', values[corrected]![i]!)));
    }
    if (level > 0) messages.push(...aside(rng));
    const now = values.map((list, i) => (i === corrected ? list.at(-1)! : list[0]!));
    const asked = rng.next() < 0.7 ? corrected : 1;
    const { ask, short } = traits[asked]!;
    const other = asked === corrected ? 1 : corrected;
    const question =
      level < 3
        ? phrase(rng, level, ask)
        : phrase(rng, level, [
            'Give # as they are now, with a comma between.',
            'Say # as of now, with a comma between.',
            'Which are # now? Put a comma between.',
          ]).replace('#', `my ${short} and my ${traits[other]!.short}`);
    const said = messages.map(({ content }) => content).join(' ');
    return {
      task: 'dialogue',
      level,
      content: `${said} ${short}${level < 3 ? '' : ` ${traits[other]!.short}`}`,
      messages: [...messages, { role: 'user', content: question }],
      answer: level < 3 ? now[asked]! : `${now[asked]}, ${now[other]}`,
    };
  },
  check: (item, reply) => checkWords([item.answer, item.answer.replace(', ', ',')], reply),
};
