/**
 * @file `node bench/duel/record.js [--work DIR]`: makes `bench/duel/recorded.json`, the real numbers that `node bench/duel.js`
 * draws its duels from: per-prompt KL of small real models on one teacher's traces, and which axis questions they answer.
 *
 * Models: the shipped base student; two siblings distilled from it alike but for the seed; two siblings that go on from
 * the first of these, as miners do who start from the king; noise copies of the first at several levels. Prompts, traces and
 * questions are those of the local profile. Takes about ten minutes on two cores; students in DIR are not trained again.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bootstrapOrExit, root } from '../../scripts/bootstrap.js';

const PROMPTS = 400;
const QUESTIONS_PER_AXIS = 32;
const SEED = 'bench/duel';
const NOISE_LEVELS = [0.003, 0.01, 0.03, 0.1];
const COPIES_PER_LEVEL = 5;
const TRAINING = { B: 8, T: 128, evaluateEvery: 1000, saveEvery: 1000, warmupSteps: 4 };
const FROM_BASE = { from: 'base', steps: 40 };
const FROM_KING = { from: 'a40', steps: 12, learningRate: 2e-3 };
/** `a40` and `b40` are equally good but for luck; `a52` and `b52` are what a miner makes of `a40`. */
const STUDENTS = { a40: FROM_BASE, b40: FROM_BASE, a52: FROM_KING, b52: FROM_KING };

const { values: options } = parseArgs({
  options: { work: { type: 'string', default: join(tmpdir(), 'quasar-duel') } },
});
await bootstrapOrExit();
const { Rng } = await import('@quasar/base');
const { answerItems, axisItems, duelPrompts, mean, SCORE_BATCH } = await import('@quasar/evals');
const { Engine, makeTraces } = await import('@quasar/infer');
const { CHECKPOINT_FILES } = await import('@quasar/model');
const { LOCAL } = await import('@quasar/subnet');
const { distil } = await import('@quasar/train');

const folderOf = (name) => (name === 'base' ? join(root, 'assets/base') : join(options.work, name));
const teacherFolder = join(root, 'assets/teacher');
const say = (text) => console.error(`record: ${text}`);

mkdirSync(options.work, { recursive: true });
for (const [name, { from, steps, learningRate }] of Object.entries(STUDENTS)) {
  if (existsSync(join(folderOf(name), CHECKPOINT_FILES.weights))) continue;
  const settings = { ...TRAINING, ...(learningRate && { learningRate }) };
  const onStep = ({ step }) => step % 10 === 0 && say(`${name}: step ${step} of ${steps}`);
  await distil({
    ...{ student: folderOf(from), teacher: teacherFolder, directory: folderOf(name) },
    ...{ steps, seed: `${SEED}/${name}`, settings, onStep },
  });
}

const { maxPromptTokens, continuationTokens, topK, temperature, topP } = LOCAL.duel;
const traces = await withEngine(teacherFolder, async (teacher) => {
  const prompts = duelPrompts(SEED, teacher.tokenizer, { count: PROMPTS, maxPromptTokens });
  const made = [];
  for (let at = 0; at < prompts.length; at += SCORE_BATCH) {
    const sampling = { continuationTokens, topK, temperature, topP, seed: `${SEED}/trace/${at}` };
    made.push(...(await makeTraces(teacher, prompts.slice(at, at + SCORE_BATCH), sampling)));
  }
  return made;
});
say(`${traces.length} traces`);

const specs = LOCAL.axes.specs.map(({ name }) => ({ name, items: QUESTIONS_PER_AXIS }));
const questions = axisItems(SEED, specs, LOCAL.axes.maxLevel);
const recorded = { profile: 'local', prompts: PROMPTS, kl: {}, correct: {} };
for (const name of ['base', ...Object.keys(STUDENTS)]) {
  await withEngine(folderOf(name), async (engine) => {
    recorded.kl[name] = await klOf(engine);
    recorded.correct[name] = await correctOf(engine);
  });
  say(`${name}: KL ${mean(recorded.kl[name]).toFixed(4)}`);
}
recorded.correct.teacher = await withEngine(teacherFolder, correctOf);
for (const level of NOISE_LEVELS) {
  for (let copy = 0; copy < COPIES_PER_LEVEL; copy++) {
    const name = `a40 + ${level} noise ${copy}`;
    recorded.kl[name] = await withEngine(folderOf('a40'), async (engine) => {
      await addNoise(engine.parameters, level, `${SEED}/${name}`);
      return klOf(engine);
    });
    say(`${name}: KL ${mean(recorded.kl[name]).toFixed(4)}`);
  }
}
writeFileSync(
  join(root, 'bench/duel/recorded.json'),
  `${JSON.stringify(recorded, null, 1).replace(/,\n\s+(?=[\d-])/g, ',')}\n`,
);
process.exit(0);

async function withEngine(folder, use) {
  const engine = await Engine.load(folder);
  try {
    return await use(engine);
  } finally {
    engine.dispose();
  }
}

/** Nats per token, one number per prompt, to a millionth. */
async function klOf(engine) {
  const perPrompt = [];
  for (let at = 0; at < traces.length; at += SCORE_BATCH)
    for (const perToken of await engine.scoreTopK(traces.slice(at, at + SCORE_BATCH)))
      perPrompt.push(Math.round(mean(perToken) * 1e6) / 1e6);
  return perPrompt;
}

/** By axis, one digit per question: 1 for a correct answer. */
async function correctOf(engine) {
  const byAxis = {};
  for (const { axis, correct } of await answerItems(engine, questions, { maxNewTokens: LOCAL.axes.maxNewTokens }))
    byAxis[axis] = `${byAxis[axis] ?? ''}${Number(correct)}`;
  return byAxis;
}

/** Every weight changed by Gaussian noise of `level` times the size (root mean square) of its tensor, rounded as stored. */
async function addNoise(parameters, level, seed) {
  for (const [name, tensor] of parameters) {
    if (tensor.dtype === 'int') continue;
    const values = Float64Array.from(await tensor.read());
    const rng = new Rng(`${seed}/${name}`);
    const size = level * Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    tensor.write(values.map((x) => x + size * rng.normal()));
  }
}
