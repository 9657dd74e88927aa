/**
 * @file Short dialogues: greeting somebody by name, remembering what was said, keeping to a persona.
 *
 * Level 0: one greeting. Level 1: a fact two turns back. Level 2: the persona of the system turn. Level 3: both, and
 * the question decides which of the two is meant.
 */
import type { Rng } from '@quasar/base';
import { checkWords } from '../check.ts';
import type { Task, WorldItem, WorldMessage } from '../types.ts';
import { CITIES, COLOURS, NAMES, phrase, THINGS } from '../words.ts';

/** What can be known about a person: how the person says it, how one asks, how one answers. `#` is the value. */
const TRAITS = [
  { values: NAMES, mine: 'I am #.', yours: 'You are #.', ask: ['What is my name?', 'Who am I?', 'Say my name.'] },
  { values: CITIES, mine: 'I live in #.', yours: 'You live in #.', ask: ['Where do I live?', 'Which city is mine?'] },
  {
    values: COLOURS,
    mine: 'I like #.',
    yours: 'You like #.',
    ask: ['Which colour do I like?', 'What colour is best for me?'],
  },
  { values: THINGS, mine: 'I need a #.', yours: 'You need a #.', ask: ['What do I need?', 'Which thing do I need?'] },
] as const;

/** The same questions, put to the assistant about itself. */
const ASK_PERSONA = [
  ['What is your name?', 'Who are you?', 'Say your name.'],
  ['Where do you live?', 'Which city is yours?'],
  ['Which colour do you like?', 'What colour is best for you?'],
  ['What do you need?', 'Which thing do you need?'],
] as const;

const fill = (pattern: string, value: string) => pattern.replace('#', value);

function greeting(rng: Rng): WorldItem {
  const name = rng.pick(NAMES);
  const trait = rng.pick(TRAITS.slice(1));
  const value = rng.pick(trait.values);
  const hello = rng.pick(['Hi', 'Hello']);
  const said = `${hello}, I am ${name}. ${fill(trait.mine, value)}`;
  return item(0, said, [{ role: 'user', content: said }], `${hello} ${name}!`, '');
}

function item(level: number, content: string, messages: WorldMessage[], sentence: string, short: string): WorldItem {
  return { task: 'chat', level, content: `${content}|${short}`, messages, answer: sentence };
}

/** Two traits of the user told in one turn, of the assistant in the system turn, then one question. */
function dialogue(rng: Rng, level: number): WorldItem {
  const chosen = rng.sample([0, 1, 2, 3], 2);
  const [mine, yours] = [0, 1].map(() => chosen.map((trait) => rng.pick(TRAITS[trait]!.values))) as [
    string[],
    string[],
  ];
  const about = rng.int(0, 1);
  const trait = TRAITS[chosen[about]!]!;
  const isAboutUser = level === 1 || (level === 3 && rng.next() < 0.5);
  const persona = chosen.map((each, i) => fill(TRAITS[each]!.yours, yours[i]!)).join(' ');
  const told = chosen.map((each, i) => fill(TRAITS[each]!.mine, mine[i]!)).join(' ');
  const question = phrase(rng, level, isAboutUser ? trait.ask : ASK_PERSONA[chosen[about]!]!);
  const messages: WorldMessage[] = [];
  if (level !== 1) messages.push({ role: 'system', content: persona });
  if (level !== 2) messages.push({ role: 'user', content: told }, { role: 'assistant', content: 'Good to know.' });
  messages.push({ role: 'user', content: question });
  const [pattern, value] = isAboutUser ? [trait.yours, mine[about]!] : [trait.mine, yours[about]!];
  const shown = [level === 1 ? '' : persona, level === 2 ? '' : told].join('|');
  return item(level, `${shown}|${isAboutUser ? 'you' : 'I'} ${chosen[about]}`, messages, fill(pattern, value), value);
}

export const chat: Task = {
  name: 'chat',
  levels: 4,
  generate: (rng, level) => (level === 0 ? greeting(rng) : dialogue(rng, level)),
  check(asked, reply) {
    const short = asked.content.slice(asked.content.lastIndexOf('|') + 1);
    return checkWords(short === '' ? [asked.answer, asked.answer.slice(0, -1)] : [asked.answer, short], reply);
  },
};
