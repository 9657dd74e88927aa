/** @file The stages towards long context: positions dropped, lengths extended, branches grafted. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadBranches, loadCheckpoint, readConfig, saveCheckpoint, weightsDigest } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseData } from '../data/spec.ts';
import { heldOutLosses } from '../held-out.ts';
import { crossEntropyObjective } from '../objectives/objective.ts';
import { TINY, tinyCheckpoint, valuesOf } from '../testing/tiny.ts';
import { corpusSources } from './corpus.ts';
import { drope } from './drope.ts';
import { extend } from './extend.ts';
import { graft } from './graft.ts';
import { growing, longData, SHORT_SHARE } from './long-rows.ts';
import { settingsOf } from './stage.ts';

let root: string;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'quasar-long-'));
  await saveCheckpoint(join(root, 'given'), tinyCheckpoint('given', undefined, { ...TINY, num_loops: 1 }), 'F32');
});
afterEach(() => rmSync(root, { recursive: true }));

const given = () => join(root, 'given');
const config = (directory: string) => {
  const read = readConfig(directory);
  if (!read.ok) throw new Error(JSON.stringify(read.issues));
  return read.value;
};
const weights = (directory: string) => readFileSync(join(directory, 'model.safetensors'));
/** With a token per byte, the needles of a document take up to 250. */
const SMALL = { B: 1, T: 256, warmupSteps: 1, evaluateBatches: 1 };

describe('drope', () => {
  const options = () => ({ model: given(), directory: join(root, 'dropped'), steps: 3, seed: 's', settings: SMALL });

  it('writes a model that says it has no positions, and tells what it was like with them', async () => {
    const { before, evaluations } = await drope(options());
    expect(config(given())).toEqual({ ...TINY, num_loops: 1 });
    expect(config(options().directory)).toEqual({ ...config(given()), positional: 'nope' });
    const sets = (await corpusSources(tinyCheckpoint().tokenizer, {}, SMALL.T)).heldOut;
    const measure = (positional: 'rope' | 'nope') => {
      const checkpoint = loadCheckpoint(given(), openDevice());
      const objective = crossEntropyObjective();
      return heldOutLosses({ checkpoint, objective, positional: { mode: positional } }, sets, settingsOf(options()));
    };
    expect(before).toEqual(await measure('rope'));
    expect(evaluations[0]?.heldOut).toEqual(await measure('nope'));
    expect(before).not.toEqual(evaluations[0]?.heldOut);
    expect(evaluations.at(-1)?.step).toBe(3);
  });

  it('refuses a model without positions', async () => {
    await drope(options());
    const again = { ...options(), model: join(root, 'dropped'), directory: join(root, 'again') };
    await expect(drope(again)).rejects.toMatchObject({ code: 'train.no_positions' });
  });
});

describe('long rows', () => {
  const settings = settingsOf({ directory: '', steps: 12, seed: 's', settings: SMALL });
  const { tokenizer } = tinyCheckpoint();

  it('have documents of recall already', async () => {
    const data = { specs: parseData(['world', 'recall']), cacheDirectory: join(root, 'cache') };
    await expect(longData(tokenizer, settings, { lengths: [512], data })).rejects.toMatchObject({
      code: 'data.bad_spec',
    });
  });

  it('keep the share of tokens in short rows, and carry states over blocks', async () => {
    for (const [lengths, longRows] of [
      [[512], 1],
      [[512, 1024], 2],
    ] as const) {
      const data = await longData(tokenizer, settings, { lengths, longRows });
      const short = data.settings.accumulate * data.settings.B * data.settings.T;
      const long = data.beside.reduce((sum, { B, T, batches }) => sum + B * T * batches, 0);
      expect(long).toBe(longRows * (lengths.at(-1) as number));
      expect(short / (short + long)).toBeGreaterThanOrEqual(SHORT_SHARE);
      expect(data.beside.map(({ blockTokens }) => blockTokens)).toEqual([4 * SMALL.T]);
    }
  });

  it('have documents that grow, with equal tokens of each length', () => {
    const lengthOf = growing([256, 512, 1024], 2048);
    const all = Array.from({ length: 16 }, (_, n) => lengthOf(n));
    expect(all).toEqual([...Array(8).fill(256), ...Array(4).fill(512), ...Array(4).fill(1024)]);
  });

  it.each([[[]], [[256]], [[1024, 512]], [[512, 768]]])('refuse lengths %j', async (lengths) => {
    await expect(longData(tokenizer, settings, { lengths })).rejects.toMatchObject({ code: 'train.lengths' });
  });
});

describe('extend', () => {
  const options = (directory: string) => ({
    model: given(),
    directory: join(root, directory),
    steps: 2,
    seed: 's',
    lengths: [512],
    blockTokens: 256,
    recallDocuments: 2,
    settings: SMALL,
  });

  it('writes a model for longer contexts; a stopped run gives the same bytes', { timeout: 60_000 }, async () => {
    const text = join(root, 'text.txt');
    writeFileSync(text, 'The text of the user. '.repeat(200));
    const data = { specs: parseData(['world@2', text]), cacheDirectory: join(root, 'cache') };
    const { recall, evaluations } = await extend({ ...options('whole'), data, lengths: [1024] });
    expect(config(options('whole').directory)).toEqual({ ...config(given()), max_seq_len: 1024 });
    const distances = (found: typeof recall.before) => found.map(({ distance }) => distance);
    expect([distances(recall.before), distances(recall.after)]).toEqual([
      [256, 1024],
      [256, 1024],
    ]);
    expect(evaluations.map(({ step, heldOut }) => [step, ...Object.keys(heldOut)])).toEqual([
      [0, 'world', 'text'],
      [2, 'world', 'text'],
    ]);
    const controller = new AbortController();
    const part = { ...options('stopped'), data, lengths: [1024] };
    const stopped = extend({ ...part, signal: controller.signal, onStep: () => controller.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'train.cancelled' });
    await extend(part);
    expect(weights(part.directory).equals(weights(options('whole').directory))).toBe(true);
    expect(weights(part.directory).equals(weights(given()))).toBe(false);
  });
});

describe('graft', () => {
  it('writes branches alone, and leaves the base as it was', { timeout: 60_000 }, async () => {
    const options = {
      base: given(),
      directory: join(root, 'branches'),
      steps: 2,
      seed: 's',
      lengths: [512],
      recallDocuments: 2,
      branches: { layers: [1], heads: 1, head_dim: 16 },
      settings: SMALL,
    };
    const before = weights(given());
    const { baseDigest, evaluations } = await graft(options);
    expect(baseDigest).toBe(weightsDigest(given()));
    expect(weights(given()).equals(before)).toBe(true);
    expect(readdirSync(options.directory).sort()).toEqual(['base.json', 'config.json', 'model.safetensors', 'run']);
    const base = loadCheckpoint(given(), openDevice());
    const grafted = loadBranches(options.directory, base);
    const values = await valuesOf(grafted);
    expect(await valuesOf(loadCheckpoint(options.directory, openDevice()))).toEqual(values);
    expect(values['graft.layers.1.attn.o_proj.weight']?.some((x) => x !== 0)).toBe(true);
    // Neither the base as --out, nor branches upon another one.
    const onto = { ...options, directory: given() };
    await expect(graft(onto)).rejects.toMatchObject({ code: 'checkpoint.not_empty' });
    const other = join(root, 'other');
    await saveCheckpoint(other, tinyCheckpoint('other', undefined, { ...TINY, num_loops: 1 }), 'F32');
    const goOn = { ...options, base: other, branches: options.directory, directory: join(root, 'on') };
    await expect(graft(goOn)).rejects.toMatchObject({ code: 'checkpoint.other_base' });
    // A fresh graft is its base.
    const sets = (await corpusSources(base.tokenizer, {}, SMALL.T)).heldOut;
    const objective = crossEntropyObjective();
    const losses = await heldOutLosses({ checkpoint: base, objective }, sets, settingsOf(options));
    expect(evaluations[0]?.heldOut.world?.ce).toBeCloseTo(losses.world?.ce as number, 5);
    expect(evaluations.at(-1)?.heldOut.world?.ce).not.toBe(evaluations[0]?.heldOut.world?.ce);
  });

  it('can begin by mimicking the attention beside, and go on from branches', { timeout: 60_000 }, async () => {
    const options = {
      base: given(),
      seed: 's',
      lengths: [512],
      recallDocuments: 2,
      settings: { ...SMALL, learningRate: 1e-2 },
    };
    const first = join(root, 'mimic');
    const branches = { layers: [1], heads: 1, head_dim: 16 };
    const mimic = await graft({ ...options, branches, directory: first, steps: 6, objective: 'mimic' });
    const losses = mimic.evaluations.map(({ heldOut }) => heldOut.world?.mimic as number);
    expect(losses.at(-1)).toBeLessThan(losses[0] as number);
    const then = await graft({ ...options, branches: first, directory: join(root, 'then'), steps: 1 });
    const fresh = await graft({ ...options, branches, directory: join(root, 'fresh'), steps: 1 });
    expect(then.evaluations[0]).not.toEqual(fresh.evaluations[0]);
    expect(config(join(root, 'then'))).toEqual(config(first));
  });
});
