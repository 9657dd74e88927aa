/**
 * @file Calling tools that are described by JSON schemas, as chat APIs describe them: `{"name": ..., "arguments": {...}}`, a
 * list of such calls where several are asked for.
 *
 * Level 0: one tool. Level 1: three tools. Level 2: enums, and an argument that is left out when it is not asked for.
 * Level 3: two calls, in the order of the request.
 */
import type { Rng } from '@quasar/base';
import { canonicalJson } from '@quasar/base';
import { CORRECT, MAX_LONG_REPLY_CHARS, unfenced, wrong } from '../check.ts';
import type { Task, Verdict, WorldItem } from '../types.ts';
import { CITIES, COLOURS, NAMES, phrase, THINGS } from '../words.ts';

type Json = string | number | boolean | string[];

interface Parameter {
  schema: object;
  draw(rng: Rng): Json;
  /** How a request says its value; `#` is the value. */
  said: string;
  isOptional?: boolean;
}

interface Tool {
  name: string;
  description: string;
  /** How a request begins, without its final full stop. */
  asked: readonly string[];
  parameters: Record<string, Parameter>;
  hasEnum?: boolean;
}

const string = (values: readonly string[], said: string): Parameter => ({
  schema: { type: 'string' },
  draw: (rng) => rng.pick(values),
  said,
});
const integer = (minimum: number, maximum: number, said: string): Parameter => ({
  schema: { type: 'integer', minimum, maximum },
  draw: (rng) => rng.int(minimum, maximum),
  said,
});
const choice = (values: readonly string[], said: string): Parameter => ({
  schema: { type: 'string', enum: values },
  draw: (rng) => rng.pick(values),
  said,
});
const optional = (parameter: Parameter): Parameter => ({ ...parameter, isOptional: true });

const TOOLS: readonly Tool[] = [
  {
    name: 'book_table',
    description: 'Book a table in a restaurant.',
    asked: ['Book a table', 'Please get us a table', 'We want a table'],
    parameters: {
      city: string(CITIES, 'in #'),
      guests: integer(1, 12, 'for # people'),
      hour: integer(11, 22, "at # o'clock"),
    },
  },
  {
    name: 'order_thing',
    description: 'Order things from the shop.',
    asked: ['Order from the shop', 'Please buy', 'I want to buy'],
    parameters: {
      item: string(THINGS, 'the thing called #'),
      colour: string(COLOURS, 'in #'),
      amount: integer(1, 50, 'with an amount of #'),
    },
  },
  {
    name: 'send_message',
    description: 'Send a message to a person.',
    asked: ['Send a message', 'Write a message', 'Drop a line'],
    parameters: {
      to: string(NAMES, 'to #'),
      text: string(['see you soon', 'call me', 'all is well', 'come at once', 'thank you'], 'that says: #'),
    },
  },
  {
    name: 'get_forecast',
    description: 'Weather forecast for a city.',
    asked: ['Show the forecast', 'What will the weather be', 'I need the forecast'],
    parameters: {
      city: string(CITIES, 'for #'),
      unit: choice(['celsius', 'fahrenheit', 'kelvin'], 'in degrees of #'),
      days: optional(integer(1, 10, 'over # days')),
    },
    hasEnum: true,
  },
  {
    name: 'set_light',
    description: 'Set a lamp.',
    asked: ['Set the lamp', 'Make the lamp glow', 'Change the lamp'],
    parameters: {
      room: choice(['kitchen', 'bath', 'hall', 'attic'], 'of the #'),
      colour: string(COLOURS, 'to #'),
      percent: optional(integer(1, 100, 'at # percent')),
    },
    hasEnum: true,
  },
];

interface Call {
  name: string;
  arguments: Record<string, Json>;
}

function schemaOf({ name, description, parameters }: Tool): object {
  const all = Object.entries(parameters);
  return {
    name,
    description,
    parameters: {
      type: 'object',
      properties: Object.fromEntries(all.map(([key, { schema }]) => [key, schema])),
      required: all.filter(([, { isOptional }]) => !isOptional).map(([key]) => key),
    },
  };
}

function request(rng: Rng, level: number, tool: Tool): [call: Call, text: string] {
  const args: Record<string, Json> = {};
  const said: string[] = [];
  for (const [key, { draw, said: saying, isOptional }] of Object.entries(tool.parameters)) {
    if (isOptional && rng.next() < 0.5) continue;
    args[key] = draw(rng);
    said.push(saying.replace('#', String(args[key])));
  }
  return [{ name: tool.name, arguments: args }, `${phrase(rng, level, tool.asked)} ${said.join(' ')}.`];
}

const FORM =
  'Reply with JSON only: {"name": ..., "arguments": {...}}, or a list of such calls in the order of the requests.';

function judge(item: WorldItem, reply: unknown): Verdict {
  if (typeof reply !== 'string' || reply.length > MAX_LONG_REPLY_CHARS) return wrong('not a short text');
  let value: unknown;
  try {
    value = JSON.parse(unfenced(reply));
  } catch {
    return wrong('not JSON');
  }
  const calls = (one: unknown) => canonicalJson(Array.isArray(one) ? one : [one]);
  return calls(value) === calls(JSON.parse(item.answer)) ? CORRECT : wrong('another call');
}

export const toolSchema: Task = {
  name: 'tool_schema',
  levels: 4,
  generate(rng, level) {
    const usable = TOOLS.filter(({ hasEnum = false }) => level >= 3 || hasEnum === (level === 2));
    const listed =
      level === 0
        ? rng.sample(usable, 1)
        : level === 2
          ? rng.shuffle([...usable, rng.pick(TOOLS.slice(0, 3))])
          : rng.sample(usable, 3);
    const wanted = rng.sample(
      listed.filter(({ hasEnum = false }) => level !== 2 || hasEnum),
      level === 3 ? 2 : 1,
    );
    const requests = wanted.map((tool) => request(rng, level, tool));
    const calls = requests.map(([call]) => call);
    const schemas = JSON.stringify(listed.map(schemaOf));
    const text = requests.map(([, said]) => said).join(' Then: ');
    const answer = JSON.stringify(calls.length === 1 ? calls[0] : calls);
    return {
      task: 'tool_schema',
      level,
      content: `${listed.map(({ name }) => name).join(' ')} ${answer}`,
      messages: [
        { role: 'system', content: `Tools: ${schemas}\n${FORM}` },
        { role: 'user', content: text },
      ],
      answer,
    };
  },
  check: judge,
};
