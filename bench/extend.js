/**
 * @file The recipe of long context on a small model: pretrained with RoPE on short documents of recall, DroPE, then extended to 8
 * times the length. Recall by distance and loss at the short length after each. `node bench/extend.js --data FILE`: see stages.js.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { disposeParameters, loadCheckpoint, Tokenizer } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { drope, extend, recallAccuracy, recallSource, textSource } from '@quasar/train';
import { linePlot } from './plot.js';
import { pretrained, smallConfig, stageBench } from './stages.js';

const T = 128;
const LENGTHS = [256, 512, 1024];
/** Beside text of weight 1. */
const RECALL_WEIGHT = 0.5;

await stageBench('extend', async ({ directory, isQuick, progress, trainText, heldOutText, data, onStep }) => {
  const tokenizer = Tokenizer.load(fileURLToPath(new URL('../assets/tokenizer.json', import.meta.url)));
  const text = textSource('text', tokenizer.encode(trainText), T);
  const filler = textSource('held-out text', tokenizer.encode(heldOutText), LENGTHS.at(-1));
  const [steps, dropSteps, longSteps, documents] = isQuick ? [3, 2, 2, 4] : [800, 150, 120, 160];
  const folder = (name) => join(directory, name);
  progress(`pretraining with RoPE at ${T} tokens`);
  const config = smallConfig(tokenizer, { quasar_layers: 3, gated_layers: 1, max_seq_len: T });
  const source = recallSource(tokenizer, { tokens: T, split: 'train' }, text);
  const settings = { B: 16, T, learningRate: 3e-3, steps };
  const base = await pretrained(folder('base'), { config, tokenizer, source, settings, onStep });
  disposeParameters(base.parameters);
  progress('DroPE');
  const stage = { seed: 'bench', onStep };
  // Recalibrated on plain text alone, a model forgets how to answer.
  const withRecall = { ...data, specs: [...data.specs, { kind: 'recall', weight: RECALL_WEIGHT }] };
  // The same held-out batches for both stages.
  const shared = { B: 8, T, evaluateBatches: 16 };
  const dropped = await drope({
    ...{ ...stage, data: withRecall, model: folder('base'), directory: folder('dropped') },
    ...{ steps: dropSteps, settings: { ...shared, accumulate: 2, learningRate: 1e-3 } },
  });
  progress(`extending to ${LENGTHS.at(-1)} tokens`);
  const extended = await extend({
    ...{ ...stage, data, model: folder('dropped'), directory: folder('extended'), steps: longSteps },
    ...{ lengths: LENGTHS, settings: { ...shared, learningRate: 4e-4 }, recallDocuments: isQuick ? 4 : 32 },
  });
  const short = (heldOut) => Object.values(heldOut)[0].ce;
  const last = (result) => short(result.evaluations.at(-1).heldOut);
  const losses = { base: short(dropped.before), dropped: last(dropped), extended: last(extended) };
  const names = { base: 'pretrained with RoPE', dropped: 'after DroPE', extended: 'after extension' };
  const rows = [];
  const lines = [];
  for (const [name, title] of Object.entries(names)) {
    progress(`recall ${title}`);
    const checkpoint = loadCheckpoint(folder(name), openDevice());
    const found = await recallAccuracy(checkpoint, { distances: [32, T, ...LENGTHS], filler, documents });
    disposeParameters(checkpoint.parameters);
    const byDistance = Object.fromEntries(
      found.map(({ distance, accuracy }) => [`${distance} back`, percent(accuracy)]),
    );
    rows.push({ 'needles recalled': title, ...byDistance, [`loss at ${T}`]: losses[name].toFixed(4) });
    lines.push({ name: title, points: found.map(({ distance, accuracy }) => [distance, 100 * accuracy]) });
  }
  const change = 100 * (losses.extended / losses.dropped - 1);
  return {
    title: `Extension from ${T} to ${LENGTHS.join(', ')} tokens; ${documents} documents per distance`,
    rows,
    notes: [`loss at ${T} tokens by the extension: ${change.toFixed(2)} %`],
    plots: { extend: linePlot({ title: 'Needles recalled', x: 'tokens back', y: '%', lines }) },
  };
});

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
