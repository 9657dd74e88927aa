/**
 * @file Small arithmetic.
 *
 * Level 0 adds and takes away counted things, so that every digit pair is met in training although no whole item of
 * the contest is. Level 1: two numbers. Level 2: three terms or a product. Level 3: a story of three steps.
 */
import type { Rng } from '@quasar/base';
import { checkWords } from '../check.ts';
import type { Task, WorldItem } from '../types.ts';
import { counted, NAMES, phrase, THINGS } from '../words.ts';

const name = 'arithmetic';

function item(level: number, content: string, question: string, answer: string): WorldItem {
  return { task: name, level, content, messages: [{ role: 'user', content: question }], answer };
}

function things(rng: Rng): WorldItem {
  const thing = rng.pick(THINGS);
  const [a, b] = [rng.int(0, 9), rng.int(0, 9)];
  if (rng.next() < 0.5) {
    return item(0, `${a}+${b} ${thing}`, `Add ${counted(a, thing)} and ${counted(b, thing)}.`, counted(a + b, thing));
  }
  const [low, high] = [Math.min(a, b), Math.max(a, b)];
  return item(
    0,
    `${high}-${low} ${thing}`,
    `Take ${counted(low, thing)} from ${counted(high, thing)}.`,
    counted(high - low, thing),
  );
}

function ask(rng: Rng, level: number, expression: string, value: number): WorldItem {
  const question = phrase(rng, level, ['What is #?', 'Compute #.', '# = ?', 'Please work out #.']);
  return item(level, expression, question.replace('#', expression), String(value));
}

function twoNumbers(rng: Rng): WorldItem {
  const total = rng.int(10, 99);
  const part = rng.int(0, total);
  return rng.next() < 0.5
    ? ask(rng, 1, `${part}+${total - part}`, total)
    : ask(rng, 1, `${total}-${part}`, total - part);
}

function threeTerms(rng: Rng): WorldItem {
  const [a, b] = [rng.int(2, 12), rng.int(2, 12)];
  if (rng.next() < 0.5) return ask(rng, 2, `${a}*${b}`, a * b);
  const [x, y] = [rng.int(10, 60), rng.int(5, 39)];
  const z = rng.int(0, x + y);
  return ask(rng, 2, `${x}+${y}-${z}`, x + y - z);
}

function story(rng: Rng): WorldItem {
  const [who, other] = rng.sample(NAMES, 2) as [string, string];
  const thing = rng.pick(THINGS);
  const start = rng.int(5, 60);
  const given = rng.int(2, 39);
  const lost = rng.int(2, start + given);
  const left = start + given - lost;
  const text =
    `${who} has ${counted(start, thing)}. ${other} gives ${who} ${counted(given, thing)}. ` +
    `${who} loses ${counted(lost, thing)}. ${phrase(rng, 3, ['How many', 'Now how many', 'So how many'])} ${thing}s has ${who}?`;
  return item(3, `${who} ${other} ${thing} ${start}+${given}-${lost}`, text, String(left));
}

export const arithmetic: Task = {
  name,
  levels: 4,
  generate: (rng, level) => [things, twoNumbers, threeTerms, story][level]!(rng),
  check: (asked, reply) => checkWords([asked.answer], reply),
};
