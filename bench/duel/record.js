/**
 * @file `node bench/duel/record.js [--work DIR]`: makes `bench/duel/recorded.json`, the real numbers that `node bench/duel.js`
 * draws its duels from: per-prompt KL of small real models on one teacher's traces, and which questions of the world they answer.
 *
 * Models: the shipped base student; two siblings distilled from it alike but for the seed; two siblings that go on from
 * the first of these, as miners do who start from the king; noise copies of the first at several levels. Prompts and traces are
 * those of the local profile. Takes some five minutes on two cores; students in DIR are not trained again.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bootstrapOrExit, root } from '../../scripts/bootstrap.js';

const PROMPTS = 400;
const QUESTIONS_PER_TASK = 32;
/** What the shipped models were trained on, at the two easiest levels. */
const TASKS = 'arithmetic copy reverse sort recall facts instruction tool_call chat program'.split(' ');
const REPLY = { maxNewTokens: 32, temperature: 0 };
const REPLY_BATCH = 16;
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
const { duelPrompts, mean, SCORE_BATCH } = await import('@quasar/evals');
const { Engine, makeTraces } = await import('@quasar/infer');
const { CHECKPOINT_FILES, encodeChat } = await import('@quasar/model');
const { LOCAL } = await import('@quasar/subnet');
const { distil } = await import('@quasar/train');
const { checkReply, generateItem } = await import('@quasar/world');

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

const questions = TASKS.flatMap((task) =>
  Array.from({ length: QUESTIONS_PER_TASK }, (_, i) =>
    generateItem(`${SEED}/question/${task}/${i}`, 'contest', { tasks: [task], level: i % 2 }),
  ),
);
const recorded = { kl: {}, correct: {} };
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
// One line per model: arrays of numbers would otherwise take a line per number.
const lines = (values) =>
  Object.entries(values).map(([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)}`);
const sections = Object.entries(recorded).map(([name, values]) => ` "${name}": {\n${lines(values).join(',\n')}\n }`);
writeFileSync(join(root, 'bench/duel/recorded.json'), `{\n${sections.join(',\n')}\n}\n`);
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

/** One digit per question, 1 for a right reply; all tasks in one text. */
async function correctOf(engine) {
  let digits = '';
  for (let at = 0; at < questions.length; at += REPLY_BATCH) {
    const batch = questions.slice(at, at + REPLY_BATCH);
    const prompts = batch.map(({ messages }) => encodeChat(engine.tokenizer, messages, { addGenerationPrompt: true }));
    const replies = await engine.generate(prompts, REPLY);
    replies.forEach(({ tokens }, i) => {
      digits += Number(checkReply(batch[i], engine.tokenizer.decode(tokens)).correct);
    });
  }
  return digits;
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
