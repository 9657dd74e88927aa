/**
 * @file Makes everything under assets/ from nothing but the world: tokenizer, teacher, base student. Deterministic: the
 * same seeds give the same files. Run from the repository root: `node scripts/make-assets.js [tokenizer|teacher|base ...]`.
 * A stopped run goes on where it was.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { emitTokenizerJson, Tokenizer, trainBpe } from '@quasar/model';
import { pretrain } from '@quasar/train';
import { generateConversation } from '@quasar/world';

const root = fileURLToPath(new URL('..', import.meta.url));
const assets = join(root, 'assets');
const tokenizerPath = join(assets, 'tokenizer.json');

const MODELS = {
  teacher: {
    size: 'tiny',
    seed: 'teacher-1',
    steps: 1500,
    settings: {
      B: 8,
      T: 256,
      learningRate: 3e-3,
      warmupSteps: 50,
      decayShare: 0.6,
      evaluateEvery: 100,
      saveEvery: 100,
    },
  },
  base: {
    size: 'nano',
    seed: 'base-1',
    steps: 240,
    settings: { B: 8, T: 256, learningRate: 3e-3, warmupSteps: 20, decayShare: 0.3, evaluateEvery: 40, saveEvery: 100 },
  },
};

function makeTokenizer() {
  const texts = [];
  for (let i = 0; i < 6000; i++)
    for (const m of generateConversation(`tokenizer/${i}`, 'train', { turns: 2 }).messages) texts.push(m.content);
  const tokenizer = trainBpe(texts, { vocabSize: 1024 });
  mkdirSync(assets, { recursive: true });
  writeFileSync(tokenizerPath, emitTokenizerJson(tokenizer.vocabulary));
  console.error(`tokenizer: ${tokenizer.vocabSize} tokens`);
}

const wanted = process.argv.slice(2);
if (wanted.length === 0 || wanted.includes('tokenizer') || !existsSync(tokenizerPath)) makeTokenizer();
for (const [name, { size, seed, steps, settings }] of Object.entries(MODELS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const startedAtMs = Date.now();
  await pretrain({
    size,
    seed,
    steps,
    settings,
    tokenizer: Tokenizer.parse(readFileSync(tokenizerPath, 'utf8')),
    directory: join(assets, name),
    onStep: ({ step, metrics, tokensPerSecond, etaMs }) => {
      if (step % 20 === 0)
        console.error(
          `${name} ${step}/${steps} ce ${metrics.ce.toFixed(3)} ${Math.round(tokensPerSecond)} tokens/s, ${Math.round(etaMs / 60000)} min left`,
        );
    },
    onEvaluation: ({ step, heldOut }) =>
      console.error(`${name} step ${step} held-out ce ${heldOut.world.ce.toFixed(4)}`),
  });
  console.error(`${name}: done in ${Math.round((Date.now() - startedAtMs) / 1000)} s`);
}
