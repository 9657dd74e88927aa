/**
 * @file `node bench/distil.js [name …] [--seconds N] [--save FILE] [--json]`: what brings the shipped base student nearest to the shipped
 * teacher in the same time, measured as the contest does: KL(teacher ‖ student) on the teacher's continuations of prompts that
 * no training sees. Time is that of all cores on this work, so that other work on the machine changes nothing. `FILE` gets a line
 * of JSON for each case when it is done; cases that it has, of as many seconds, are not run again.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bootstrapOrExit, root } from '../scripts/bootstrap.js';

const GOAL = 0.35;
/** As in the local profile of the contest, with more prompts. */
const DUEL = { prompts: { count: 256, maxPromptTokens: 192 }, continuationTokens: 32, topK: 128 };
/** Steps that say how long one takes. */
const TRIAL_STEPS = 12;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '60' }, save: { type: 'string' }, json: { type: 'boolean' } },
});
const goalSeconds = Number(options.seconds);
await bootstrapOrExit();
const { Engine, makeTraces } = await import('@quasar/infer');
const { disposeParameters, loadCheckpoint } = await import('@quasar/model');
const { duelPrompts, mean, scoreTraces } = await import('@quasar/evals');
const { nativeDevice } = await import('@quasar/tensor');
const { DISTIL_SETTINGS, evenlyWeighted, openObjective, TRAIN_DEFAULTS, train, worldSource } = await import(
  '@quasar/train'
);

const teacher = join(root, 'assets/teacher');
const distil = (more = {}) => ({ kind: 'distil', teacher, ...more });
const adamw = { matrices: 'adamw' };
/** Name, objective, and what else differs from the recipe. */
const CASES = {
  'forward KL': [distil()],
  'forward KL, top 128 and tail': [distil({ topK: 128 })],
  'forward KL, temperature 2': [distil({ temperature: 2 })],
  'reverse KL': [distil({ terms: { reverse: 1 } })],
  'skewed KL, 0.1': [distil({ terms: { skew: 1 } })],
  'skewed reverse KL, 0.1': [distil({ terms: { skewReverse: 1 } })],
  'Jensen-Shannon': [distil({ terms: { js: 1 } })],
  'forward and reverse KL': [distil({ terms: { forward: 0.5, reverse: 0.5 } })],
  '0.9 forward KL, 0.1 cross-entropy': [distil({ terms: { forward: 0.9, ce: 0.1 } })],
  'forward KL and hidden states': [
    distil({
      hidden: {
        layers: [
          [2, 2],
          [5, 5],
        ],
        weight: 0.2,
      },
    }),
  ],
  'forward KL, a fifth on-policy': [distil({ onPolicy: { share: 0.2 } })],
  'cross-entropy': [{ kind: 'cross_entropy' }],
  'forward KL, replies before prompts': [distil(), { byReply: true }],
  'forward KL, AdamW 2e-3': [distil(), { ...adamw, learningRate: 2e-3 }],
  'forward KL, AdamW 5e-3': [distil(), { ...adamw, learningRate: 5e-3 }],
  'forward KL, Muon 1e-2': [distil(), { learningRate: 1e-2 }],
  'forward KL, 4 rows': [distil(), { B: 4 }],
};

const chosen = positionals.length > 0 ? positionals : Object.keys(CASES);
const unknown = chosen.filter((name) => !CASES[name]);
if (unknown.length > 0) {
  console.error(`bench: no case ${unknown.join(', ')}; there are ${Object.keys(CASES).join('; ')}`);
  process.exit(2);
}

const device = nativeDevice();
const load = (name) => loadCheckpoint(join(root, 'assets', name), device);
const engineOf = ({ config, parameters, tokenizer }) => new Engine(config, parameters, tokenizer, device);
const guide = load('teacher');
const traces = await makeTraces(engineOf(guide), duelPrompts('bench/held-out', guide.tokenizer, DUEL.prompts), {
  continuationTokens: DUEL.continuationTokens,
  topK: DUEL.topK,
  temperature: 1,
  topP: 1,
  seed: 'bench/traces',
});
disposeParameters(guide.parameters);
const klOf = async (student) => mean((await scoreTraces(engineOf(student), traces)).perPrompt);
const base = load('base');
const before = await klOf(base);
disposeParameters(base.parameters);

/** Seconds that all cores of the device spent. */
const spent = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6 / device.threads;
};

/** So many steps from the base student. */
async function run(spec, { byReply = false, ...own }, steps) {
  const student = load('base');
  const objective = await openObjective(spec, student, device);
  const world = worldSource(student.tokenizer);
  const settings = { ...TRAIN_DEFAULTS, ...DISTIL_SETTINGS, ...own, steps, seed: 'bench', saveEvery: 0 };
  const startedAtS = spent();
  await train({
    checkpoint: student,
    objective,
    source: byReply || spec.kind === 'cross_entropy' ? world : evenlyWeighted(world),
    settings,
    directory: null,
  });
  const seconds = spent() - startedAtS;
  const kl = await klOf(student);
  objective.dispose?.();
  disposeParameters(student.parameters);
  return { seconds, kl };
}

const saved = options.save !== undefined && existsSync(options.save) ? readFileSync(options.save, 'utf8') : '';
const done = saved
  .split('\n')
  .filter(Boolean)
  .map((line) => JSON.parse(line));
const rows = [];
for (const name of chosen) {
  const earlier = done.find((row) => row.name === name && row.goalSeconds === goalSeconds);
  if (earlier) {
    rows.push(earlier);
    continue;
  }
  console.error(`bench: ${name} ...`);
  const [spec, own = {}] = CASES[name];
  const { seconds: trial } = await run(spec, own, TRIAL_STEPS);
  const steps = Math.max(1, Math.round((goalSeconds * TRIAL_STEPS) / trial));
  const { seconds, kl } = await run(spec, own, steps);
  const row = { name, goalSeconds, steps, seconds, kl, ratio: kl / before };
  rows.push(row);
  if (options.save !== undefined) appendFileSync(options.save, `${JSON.stringify(row)}\n`);
}
if (options.json) console.log(JSON.stringify({ date: new Date().toISOString(), before, rows }));
else {
  console.log(`KL(teacher, base student) on ${traces.length} held-out prompts: ${before.toFixed(4)} nats per token\n`);
  const cells = [
    ['objective', 'steps', 'seconds', 'KL', 'of the base'],
    ...rows.map(({ name, steps, seconds, kl, ratio }) => {
      const verdict = ratio <= GOAL ? '' : `  above ${GOAL}`;
      return [name, steps, seconds.toFixed(0), kl.toFixed(4), ratio.toFixed(3) + verdict].map(String);
    }),
  ];
  const widths = cells[0].map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  for (const row of cells)
    console.log(
      row
        .map((cell, i) => (i === 0 || i === 4 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    );
}
process.exit(0);
