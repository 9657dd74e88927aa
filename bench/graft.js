/**
 * @file Quasar branches, which know no positions, upon a small Qwen3.5 (gated delta nets, and softmax attention with RoPE) that
 * was pretrained at a short length and stays as it is: recall by distance of the base and of the graft. `node bench/graft.js --data FILE`: see stages.js.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { countParameters, disposeParameters, loadBranches, loadCheckpoint, Tokenizer } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { graft, recallAccuracy, recallSource, textSource, transformerLike } from '@quasar/train';
import { linePlot } from './plot.js';
import { pretrained, smallConfig, stageBench } from './stages.js';

const T = 128;
const LENGTHS = [256, 512, 1024];
/** Recall is measured at: the trained length, that of the graft, and far beyond both. */
const DISTANCES = [32, T, 512, 1024, 4096];
/** As many as the public models have to one of softmax attention. */
const LINEAR_LAYERS = 3;
const BRANCHES = { layers: [0, 1, 2, 3], heads: 2, head_dim: 64, conv_size: 4 };

await stageBench('graft', async ({ directory, isQuick, progress, trainText, heldOutText, data, onStep }) => {
  const tokenizer = Tokenizer.load(fileURLToPath(new URL('../assets/tokenizer.json', import.meta.url)));
  const text = textSource('text', tokenizer.encode(trainText), T);
  const filler = textSource('held-out text', tokenizer.encode(heldOutText), LENGTHS.at(-1));
  const [steps, longSteps, documents] = isQuick ? [3, 2, 4] : [400, 100, 80];
  const [base, branches] = [join(directory, 'base'), join(directory, 'branches')];
  progress(`pretraining the base at ${T} tokens`);
  const source = recallSource(tokenizer, { tokens: T, split: 'train' }, text);
  const config = qwenConfig(smallConfig(tokenizer, { max_seq_len: T }));
  const settings = { B: 16, T, learningRate: 4e-3, matrices: 'muon', steps };
  const fresh = await pretrained(base, { config, tokenizer, source, settings, onStep });
  disposeParameters(fresh.parameters);
  const before = readFileSync(join(base, 'model.safetensors'));
  progress('grafting');
  const { baseDigest, evaluations } = await graft({
    ...{ base, directory: branches, seed: 'bench', data, onStep, branches: BRANCHES, steps: longSteps },
    ...{
      lengths: LENGTHS,
      settings: { B: 8, T, learningRate: 3e-3, evaluateBatches: 16 },
      recallDocuments: isQuick ? 4 : 8,
    },
  });
  if (!readFileSync(join(base, 'model.safetensors')).equals(before)) throw new Error('the files of the base changed');
  const given = loadCheckpoint(base, openDevice());
  const grafted = loadBranches(branches, given);
  const [first, last] = [evaluations[0], evaluations.at(-1)].map(({ heldOut }) => Object.values(heldOut)[0].ce);
  const rows = [];
  const lines = [];
  for (const [title, checkpoint, loss] of [
    ['base', given, first],
    ['with branches', grafted, last],
  ]) {
    progress(`recall, ${title}`);
    const found = await recallAccuracy(checkpoint, { distances: DISTANCES, filler, documents });
    const byDistance = Object.fromEntries(
      found.map(({ distance, accuracy }) => [`${distance} back`, percent(accuracy)]),
    );
    rows.push({ 'needles recalled': title, ...byDistance, [`loss at ${T}`]: loss.toFixed(4) });
    lines.push({ name: title, points: found.map(({ distance, accuracy }) => [distance, 100 * accuracy]) });
  }
  const parameters = { base: countParameters(given.config).total, whole: countParameters(grafted.config).total };
  return {
    title: `Graft upon a model of ${parameters.base} parameters, trained at ${T} tokens; ${documents} documents per distance`,
    rows,
    notes: [
      `branches of ${parameters.whole - parameters.base} parameters, in a checkpoint of their own`,
      `base weights the same before and after, sha256 ${baseDigest}`,
    ],
    plots: { graft: linePlot({ title: 'Needles recalled', x: 'tokens back', y: '%', lines }) },
  };
});

/** Of the size of this model. */
function qwenConfig(like) {
  const { bos_token_id, eos_token_id, n_heads } = like;
  const softmax = transformerLike(like);
  const layers = Array.from({ length: like.n_layers }, (_, i) =>
    i % (LINEAR_LAYERS + 1) === LINEAR_LAYERS ? 'full_attention' : 'linear_attention',
  );
  return {
    ...{ ...softmax, layer_types: layers, bos_token_id, eos_token_id, intermediate_size: like.d_ff },
    ...{ linear_num_key_heads: n_heads, linear_num_value_heads: n_heads },
    rope_parameters: { ...softmax.rope_parameters, rope_theta: 1e4 },
  };
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
