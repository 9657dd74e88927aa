/**
 * @file What the benches of training stages share: their command line, text cut in two, small models pretrained at a short length,
 * the table. `node bench/<stage>.js --data FILE [--json] [--quick] [--plot DIR]`.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Rng } from '@quasar/base';
import { initialParameters, SIZES, saveCheckpoint } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { crossEntropyObjective, TRAIN_DEFAULTS, train } from '@quasar/train';

const HELD_OUT_SHARE = 0.1;

/** Runs a bench in a folder of its own and prints what it found; `--quick` shows that it runs, its figures mean nothing. */
export async function stageBench(name, run) {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      plot: { type: 'string' },
    },
  });
  if (values.data === undefined) {
    console.error(`usage: node bench/${name}.js --data TEXT_FILE [--json] [--quick] [--plot DIR]`);
    process.exit(2);
  }
  const directory = mkdtempSync(join(tmpdir(), `quasar-${name}-`));
  const startedAtMs = performance.now();
  const progress = (line) =>
    console.error(`bench: ${name}: ${((performance.now() - startedAtMs) / 1000).toFixed(0)} s: ${line}`);
  try {
    const text = readFileSync(values.data, 'utf8');
    const cut = Math.floor(text.length * (1 - HELD_OUT_SHARE));
    const trainPath = join(directory, 'train.txt');
    writeFileSync(trainPath, text.slice(0, cut));
    const result = await run({
      directory,
      isQuick: values.quick,
      progress,
      trainText: text.slice(0, cut),
      heldOutText: text.slice(cut),
      data: { specs: [{ kind: 'path', path: trainPath, weight: 1 }], cacheDirectory: join(directory, 'tokens') },
      onStep: ({ step, steps, metrics, tokensPerSecond }) => {
        if (step % 50 === 0 || step === steps)
          progress(`step ${step} of ${steps}, ce ${metrics.ce.toFixed(3)}, ${Math.round(tokensPerSecond)} tokens/s`);
      },
    });
    const wallS = (performance.now() - startedAtMs) / 1000;
    const print = values.json ? console.error : console.log;
    print(`${result.title}\n${table(result.rows)}`);
    for (const note of result.notes) print(`  ${note}`);
    print(`  ${wallS.toFixed(0)} s`);
    if (values.json) console.log(JSON.stringify({ ...result, plots: undefined, wallS }));
    if (values.plot !== undefined) {
      mkdirSync(values.plot, { recursive: true });
      for (const [file, svg] of Object.entries(result.plots)) writeFileSync(join(values.plot, `${file}.svg`), svg);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Dense layers of the quasar family: what attention is made of is what differs. */
export function smallConfig(tokenizer, options) {
  const { bos: bos_token_id, end: eos_token_id } = tokenizer.specials;
  return {
    ...SIZES.nano,
    ...{ vocab_size: tokenizer.vocabSize, n_layers: 4, dense_input_layers: 4, residual_scale: 0.5 },
    ...{ bos_token_id, eos_token_id },
    ...options,
  };
}

/** A fresh model trained on `source`, in `folder` with weights in F32. */
export async function pretrained(folder, { config, tokenizer, source, settings, onStep }) {
  const checkpoint = { config, tokenizer, parameters: initialParameters(config, openDevice(), new Rng('bench')) };
  await trained(checkpoint, { source, settings, onStep });
  await saveCheckpoint(folder, checkpoint, 'F32');
  return checkpoint;
}

export async function trained(checkpoint, { source, settings, onStep }) {
  await train({
    ...{ checkpoint, source, onStep, objective: crossEntropyObjective(), directory: null },
    settings: { ...TRAIN_DEFAULTS, seed: 'bench', ...settings },
  });
}

/** @param {Record<string, string | number>[]} rows with the same members */
export function table(rows) {
  const titles = Object.keys(rows[0]);
  const lines = [titles, ...rows.map((row) => titles.map((title) => String(row[title])))];
  const widths = titles.map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  return lines
    .map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '))
    .join('\n');
}
