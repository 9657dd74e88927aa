/**
 * @file Calling one of the listed tools, in the JSON that chat APIs use: {"name": ..., "arguments": {...}}.
 *
 * Level 0: two tools, one argument. Level 1: three tools, two arguments. Level 2: more tools, more phrasings, or no
 * listed tool fits and the reply is `none`. Level 3: the result is there too, and the reply reads it.
 */
import type { Rng } from '@quasar/base';
import { checkJson, checkWords } from '../check.ts';
import type { Task, WorldItem, WorldMessage } from '../types.ts';
import { CITIES, counted, NAMES, phrase, THINGS, WORDS } from '../words.ts';

interface Tool {
  name: string;
  parameters: string[];
  /** One value per parameter. */
  draw(rng: Rng): (string | number)[];
  phrasings: string[];
  /** What the tool returns and how it is said; absent for tools that only act. */
  result?: { key: string; highest: number; unit: string };
}

const TOOLS: readonly Tool[] = [
  {
    name: 'weather',
    parameters: ['city'],
    draw: (rng) => [rng.pick(CITIES)],
    phrasings: ['Weather in #0?', 'How warm is #0?', 'Is it cold in #0?'],
    result: { key: 'degrees', highest: 39, unit: 'degree' },
  },
  {
    name: 'hour',
    parameters: ['city'],
    draw: (rng) => [rng.pick(CITIES)],
    phrasings: ['Time in #0?', 'What time is it in #0?', 'How late is it in #0?'],
    result: { key: 'hour', highest: 23, unit: 'hour' },
  },
  {
    name: 'price',
    parameters: ['thing'],
    draw: (rng) => [rng.pick(THINGS)],
    phrasings: ['Price of a #0?', 'What does a #0 cost?', 'How much is one #0?'],
    result: { key: 'price', highest: 99, unit: 'coin' },
  },
  {
    name: 'call',
    parameters: ['person'],
    draw: (rng) => [rng.pick(NAMES)],
    phrasings: ['Call #0.', 'Ring #0.', 'I must talk to #0.'],
  },
  {
    name: 'search',
    parameters: ['text'],
    draw: (rng) => [rng.pick(WORDS)],
    phrasings: ['Search #0.', 'Look for #0.', 'Find pages about #0.'],
  },
  {
    name: 'pay',
    parameters: ['person', 'amount'],
    draw: (rng) => [rng.pick(NAMES), rng.int(1, 99)],
    phrasings: ['Pay #0 #1.', 'Give #0 #1 coins.', 'I owe #0 #1.'],
  },
  {
    name: 'send',
    parameters: ['thing', 'city'],
    draw: (rng) => [rng.pick(THINGS), rng.pick(CITIES)],
    phrasings: ['Send a #0 to #1.', 'Post one #0 to #1.', 'A #0 must go to #1.'],
  },
  {
    name: 'wake',
    parameters: ['person', 'hour'],
    draw: (rng) => [rng.pick(NAMES), rng.int(0, 23)],
    phrasings: ['Wake #0 at #1.', 'At #1, wake #0.', '#0 must be up at #1.'],
  },
];

function callText(tool: Tool, values: (string | number)[]): string {
  const args = Object.fromEntries(tool.parameters.map((parameter, i) => [parameter, values[i]]));
  return JSON.stringify({ name: tool.name, arguments: args });
}

function draw(rng: Rng, level: number): WorldItem {
  const usable = TOOLS.filter((tool) =>
    level === 0 ? tool.parameters.length === 1 : level === 3 ? tool.result !== undefined : true,
  );
  const tool = rng.pick(usable);
  const values = tool.draw(rng);
  const isListed = level !== 2 || rng.next() < 0.75;
  const others = rng.sample(
    TOOLS.filter((other) => other !== tool && (level > 0 || usable.includes(other))),
    level + 1,
  );
  const listed = rng.shuffle(isListed ? [tool, ...others] : others);
  const names = listed.map((each) => `${each.name}(${each.parameters.join(', ')})`).join(' ');
  const question = phrase(rng, level, tool.phrasings).replace(/#(\d)/g, (_, index) => String(values[Number(index)]));
  const messages: WorldMessage[] = [
    { role: 'system', content: `Tools: ${names}` },
    { role: 'user', content: question },
  ];
  const call = callText(tool, values);
  const item = { task: 'tool_call', level, content: `${names} ${call}`, messages, answer: isListed ? call : 'none' };
  if (level < 3 || !tool.result) return item;
  const result = rng.int(0, tool.result.highest);
  messages.push({ role: 'assistant', content: call });
  messages.push({ role: 'tool', content: JSON.stringify({ [tool.result.key]: result }) });
  return { ...item, content: `${item.content} ${result}`, answer: counted(result, tool.result.unit) };
}

export const toolCall: Task = {
  name: 'tool_call',
  levels: 4,
  generate: draw,
  check(item, reply) {
    if (item.answer.startsWith('{')) return checkJson(item.answer, reply);
    const number = item.answer.replace(/ .*/, '');
    return checkWords([item.answer, number], reply);
  },
};
