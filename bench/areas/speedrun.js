/**
 * @file Training steps of the softmax transformer of `quasar speedrun`, ours and PyTorch's: the same weights, batches, AdamW and
 * Muon, with equal losses and gradient norms in the first two steps. Counts tokens. With `--data FILE` also the whole run: every
 * batch once, then bits per byte of the held-out text (minutes).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '@quasar/base';
import { disposeParameters, initialParameters, tensorTable } from '@quasar/model';
import {
  AdamW,
  bitsPerByte,
  crossEntropyObjective,
  Muon,
  pack,
  learningRate as rateOf,
  recipe,
  scoredWindows,
  setUpSpeedrun,
  train,
  trainStep,
  transformerLike,
} from '@quasar/train';
import { Exchange } from '../exchange.js';
import { agreement, allValues } from '../training.js';

export const title = 'Speedrun: training step of the softmax transformer';

const VOCABULARY = 512;

export async function run({ device, measure, add, peers, data, isQuick }) {
  for (const matrices of ['muon', 'adamw']) await steps(device, measure, isQuick ? 2 : 4, matrices);
  if (data) add(await wholeRun(device, peers, data));
}

async function steps(device, measure, depth, matrices) {
  const { config: quasar, settings } = recipe({ depth, vocabSize: VOCABULARY });
  const config = transformerLike(quasar);
  const { B, T, learningRate } = settings;
  const parameters = initialParameters(config, device, new Rng('bench'));
  const table = tensorTable(config);
  const Kind = matrices === 'muon' ? Muon : AdamW;
  const optimizer = new Kind(parameters, table, settings.optimizer);
  const exchange = new Exchange();
  try {
    const rng = new Rng('bench/rows');
    const rows = Array.from({ length: B }, () => Int32Array.from({ length: T + 1 }, () => rng.int(0, VOCABULARY - 1)));
    const weights = new Float32Array(T + 1).fill(1);
    let drawn = 0;
    const works = [{ batch: pack({ next: () => ({ ids: rows[drawn++], weights }) }, B, T) }];
    const trainee = { checkpoint: { config, parameters }, objective: crossEntropyObjective() };
    const request = {
      process: 'torch',
      case: 'transformer',
      config,
      table: [...table].map(([name, { shape }]) => [name, shape]),
      weights: exchange.share('weights', await allValues(table, parameters)),
      tokens: exchange.share('tokens', Int32Array.from(rows.flatMap((ids) => [...ids.subarray(0, T)]))),
      targets: exchange.share('targets', Int32Array.from(rows.flatMap((ids) => [...ids.subarray(1)]))),
      B,
      T,
      rates: [learningRate],
      optimizer: settings.optimizer,
      matrices,
    };
    const step = () => trainStep(trainee, optimizer, works, learningRate);
    const check = agreement([await step(), await step()]);
    await measure({
      name: `depth ${depth}, ${matrices}`,
      shape: `${B} rows of ${T}`,
      unit: 'token/s',
      work: B * T,
      ours: step,
      peers: {
        'torch eager': { ...request, variant: 'eager', check },
        'torch compiled': { ...request, variant: 'compiled', check },
      },
      goals: [{ peer: 'torch eager', ratio: 2 }],
    });
  } finally {
    exchange.close();
    optimizer.dispose();
    disposeParameters(parameters);
  }
}

/** The transformer of `quasar speedrun --data FILE`, from its weights over its batches to its bits per byte, in both programs. */
async function wholeRun(device, peers, path) {
  const directory = mkdtempSync(join(tmpdir(), 'quasar-bench-speedrun-'));
  const exchange = new Exchange();
  try {
    const options = {
      directory,
      data: { specs: [{ kind: 'path', path, weight: 1 }], cacheDirectory: join(directory, 'cache') },
      depth: 4,
      vocabSize: VOCABULARY,
      seed: '0',
    };
    const { tokenizer, source, heldOut, configs, settings } = await setUpSpeedrun(options);
    const { B, T, steps, matrices, optimizer } = settings;
    const config = configs.transformer;
    const table = tensorTable(config);
    const parameters = initialParameters(config, device, new Rng('0/init'), tokenizer);
    const weights = exchange.share('weights', await allValues(table, parameters));
    const reader = source.open('0/0');
    const batches = Array.from({ length: steps }, () => pack(reader, B, T));
    const windows = [...scoredWindows(heldOut, B, T)];
    const joined = (list, name) => Int32Array.from(list.flatMap((batch) => [...batch[name]]));
    const checkpoint = { config, parameters, tokenizer };
    const losses = [];
    const startedAtMs = performance.now();
    const trainee = { checkpoint, objective: crossEntropyObjective(), source, settings, directory: null };
    await train({ ...trainee, onStep: ({ metrics }) => losses.push(metrics.ce) });
    const seconds = (performance.now() - startedAtMs) / 1000;
    const ours = await bitsPerByte(checkpoint, heldOut, { B, T });
    disposeParameters(parameters);
    const peer = await peers.prepare('torch', {
      case: 'transformer_run',
      variant: 'eager',
      config,
      table: [...table].map(([name, { shape }]) => [name, shape]),
      weights,
      ...Object.fromEntries(
        ['tokens', 'targets', 'positions'].map((name) => [name, exchange.share(name, joined(batches, name))]),
      ),
      ...Object.fromEntries(
        ['tokens', 'targets'].map((name) => [`held_${name}`, exchange.share(`held_${name}`, joined(windows, name))]),
      ),
      heldBytes: ours.bytes,
      ...{ B, T, matrices, optimizer },
      rates: batches.map((_, step) => rateOf(settings, step)),
    });
    const tokens = steps * B * T;
    const row = {
      case: 'whole run',
      shape: `${steps} steps`,
      unit: 'token/s',
      ours: { value: tokens / seconds, seconds },
    };
    if ('missing' in peer) return { ...row, peers: { 'torch eager': peer } };
    const { answer } = peer;
    await peer.drop();
    const apart = Math.abs(answer.losses[1] / losses[1] - 1);
    if (!(apart <= 1e-4))
      throw new Error(`the second loss is ${answer.losses[1]}, ours ${losses[1]}: not the same model`);
    const ratio = answer.seconds / seconds;
    return {
      ...row,
      peers: { 'torch eager': { value: tokens / answer.seconds, seconds: answer.seconds, ratio } },
      note: `bits per byte of ${ours.bytes} held-out bytes: ${ours.bitsPerByte.toFixed(4)}, PyTorch ${answer.bitsPerByte.toFixed(4)}`,
    };
  } finally {
    exchange.close();
    rmSync(directory, { recursive: true });
  }
}
