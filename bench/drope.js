/**
 * @file DroPE on small models: loss per token over documents of 1 to 16 times the trained length, before and after the stage, and
 * of the same model that went on with its positions for as many steps. `node bench/drope.js --data FILE`: see stages.js.
 */
import { join } from 'node:path';
import { Engine } from '@quasar/infer';
import { disposeParameters, loadCheckpoint, trainBpe } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { drope, textSource } from '@quasar/train';
import { linePlot } from './plot.js';
import { pretrained, smallConfig, stageBench, trained } from './stages.js';

const T = 128;
const TIMES = [1, 2, 4, 8, 16];
const VOCABULARY = 512;
const SETTINGS = { B: 16, T, learningRate: 3e-3 };
/** Peak of a model that is trained already. */
const STAGE = { B: 16, T, learningRate: 2e-3, warmupSteps: 10, decayShare: 0.8 };

await stageBench('drope', async ({ directory, isQuick, progress, trainText, heldOutText, data, onStep }) => {
  const tokenizer = trainBpe(trainText.match(/.{1,4000}/gs), { vocabSize: VOCABULARY });
  const heldOut = tokenizer.encode(heldOutText);
  const source = textSource('text', tokenizer.encode(trainText), T);
  const [steps, stageSteps, documents] = isQuick ? [4, 2, 2] : [300, 200, 20];
  const rows = [];
  const lines = [];
  const notes = [];
  for (const attention of ['softmax', 'quasar']) {
    progress(`${attention}: pretraining with RoPE at ${T} tokens`);
    const config = smallConfig(tokenizer, { attention, rope_theta: 1e4, quasar_layers: 4, gated_layers: 0 });
    const folder = join(directory, attention);
    const given = await pretrained(folder, { config, tokenizer, source, settings: { ...SETTINGS, steps }, onStep });
    const losses = new Map();
    const measure = async (name, checkpoint) => {
      progress(`${attention}: losses, ${name}`);
      const found = await lossByLength(checkpoint, heldOut, documents);
      losses.set(name, found);
      rows.push({ 'loss over documents of': `${attention}: ${name}`, ...found });
    };
    await measure('RoPE', given);
    await measure('dropped, not recalibrated', { ...given, config: { ...config, positional: 'nope' } });
    progress(`${attention}: on with RoPE`);
    await trained(given, { source, settings: { ...STAGE, steps: stageSteps, seed: 'stage' }, onStep });
    await measure('RoPE, on for as many steps', given);
    disposeParameters(given.parameters);
    progress(`${attention}: DroPE`);
    const out = join(directory, `${attention}-dropped`);
    await drope({ model: folder, directory: out, steps: stageSteps, seed: 'stage', data, settings: STAGE, onStep });
    const dropped = loadCheckpoint(out, openDevice());
    await measure('DroPE', dropped);
    disposeParameters(dropped.parameters);
    const [before, after] = ['RoPE', 'DroPE'].map((name) => losses.get(name));
    const change = (times) => `${(100 * (after[`x${times}`] / before[`x${times}`] - 1)).toFixed(1)} %`;
    notes.push(`${attention}: DroPE against RoPE: ${TIMES.map((times) => `x${times} ${change(times)}`).join(', ')}`);
    for (const [name, found] of losses)
      if (!name.startsWith('dropped'))
        lines.push({
          name: `${attention}, ${name}`,
          points: TIMES.map((times) => [times * T, Number(found[`x${times}`])]),
        });
  }
  const plot = linePlot({
    title: `Loss over long documents, trained at ${T} tokens`,
    x: 'tokens of a document',
    y: 'nats per token',
    lines,
  });
  return { title: `DroPE, ${steps} steps, then ${stageSteps}; nats per token`, rows, notes, plots: { drope: plot } };
});

/** Mean over the first so many tokens of the documents, which are spread evenly over the text. */
async function lossByLength({ config, parameters, tokenizer }, text, documents) {
  const length = T * TIMES.at(-1);
  const engine = new Engine(config, parameters, tokenizer, openDevice());
  const stride = Math.floor((text.length - length - 1) / (documents - 1));
  const sums = new Float64Array(length);
  for (let i = 0; i < documents; i++) {
    const logprobs = await engine.logprobs(text.slice(i * stride, i * stride + length + 1));
    logprobs.forEach((logprob, at) => {
      sums[at] -= logprob / documents;
    });
  }
  const mean = (count) => sums.subarray(0, count).reduce((sum, loss) => sum + loss, 0) / count;
  return Object.fromEntries(TIMES.map((times) => [`x${times}`, mean(times * T).toFixed(4)]));
}
