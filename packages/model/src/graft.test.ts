/** @file Grafts: a fresh one is its base, a closed one too; branches as a checkpoint of their own; configs. */
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '@quasar/base';
import { openDevice, sizeOf } from '@quasar/tensor';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Checkpoint, loadCheckpoint, loadParameters, saveCheckpoint } from './checkpoint/checkpoint.ts';
import { checkpointDigest } from './checkpoint/digest.ts';
import { WeightFiles } from './checkpoint/weight-files.ts';
import { weightsDigest } from './checkpoint/weights-digest.ts';
import { parseConfig, SIZES, tensorTable } from './families/index.ts';
import { type GraftCheckpoint, graftOnto, loadBranches, saveBranches } from './graft.ts';
import { modelInfo } from './model-info.ts';
import { isTrained } from './tensor-table.ts';
import { logitsOf, maxDifference, randomTokens, TINY, tinyParameters } from './testing/tiny.ts';
import { TINY_LONG } from './testing/tiny-quasar-long.ts';
import { TINY_QWEN } from './testing/tiny-qwen3-5.ts';
import { trainBpe } from './tokenizer/index.ts';

const device = openDevice('auto');
const temporary = mkdtempSync(join(tmpdir(), 'graft-'));
afterAll(() => rmSync(temporary, { recursive: true }));
const tokenizer = trainBpe(['words'], { vocabSize: 270 });
/** As large as the vocabulary of the tokenizer. */
const BASES = {
  quasar: { ...TINY, vocab_size: tokenizer.vocabSize },
  quasar_long: { ...TINY_LONG, vocab_size: tokenizer.vocabSize },
  qwen3_5: { ...TINY_QWEN, vocab_size: tokenizer.vocabSize },
};
const OPTIONS = { layers: [0, 2], heads: 2, head_dim: 16 };

async function baseOf(config: (typeof BASES)[keyof typeof BASES], seed = 'base'): Promise<Checkpoint> {
  return { config, parameters: await tinyParameters(device, config, seed), tokenizer };
}
const block = { tokens: randomTokens(2 * 70, tokenizer.vocabSize, 'graft'), B: 2, T: 70 };
const logits = ({ config, parameters }: Checkpoint) => logitsOf(config, parameters, block);
/** Branches that do something. */
function disturb(graft: GraftCheckpoint): GraftCheckpoint {
  const rng = new Rng('disturb');
  for (const [name, tensor] of graft.parameters)
    if (/^graft.*o_proj/.test(name)) tensor.write(Float32Array.from({ length: tensor.size }, () => rng.normal()));
  return graft;
}
const dataBytes = (folder: string) => {
  const files = WeightFiles.open(folder);
  files.close();
  return files.sizeBytes;
};
const setGates = ({ parameters }: GraftCheckpoint, value: number) => {
  for (const [name, tensor] of parameters) if (/^graft.*\.gate$/.test(name)) tensor.write([value]);
};

describe.each(Object.entries(BASES))('upon %s', (name, config) => {
  it('a fresh graft has the logits of its base, bit for bit; so has one whose gates are closed; an open one has not', async () => {
    const base = await baseOf(config);
    const expected = await logits(base);
    const graft = graftOnto(base, OPTIONS, new Rng('branches'));
    expect(maxDifference(await logits(graft), expected)).toBe(0);
    disturb(graft);
    expect(maxDifference(await logits(graft), expected)).toBeGreaterThan(1e-3);
    setGates(graft, Number.NEGATIVE_INFINITY);
    expect(maxDifference(await logits(graft), expected)).toBe(0);
  });

  it('the branches alone are saved, and give the same model upon the same base', async () => {
    const base = await baseOf(config);
    const graft = disturb(graftOnto(base, { ...OPTIONS, conv_size: 4 }, new Rng('branches')));
    const folder = join(temporary, `${name}-branches`);
    await saveBranches(folder, graft, 'F32');
    const loaded = loadBranches(folder, await baseOf(config));
    expect(loaded.config).toEqual(graft.config);
    expect(maxDifference(await logits(loaded), await logits(graft))).toBe(0);
    expect(readdirSync(folder).sort()).toEqual(['config.json', 'model.safetensors']);
    const trained = [...tensorTable(graft.config).values()].filter(isTrained);
    const floats = trained.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    expect(statSync(join(folder, 'model.safetensors')).size).toBeLessThan(4 * floats + 8192);
    const other = await baseOf({ ...config, rms_norm_eps: 1e-5 });
    expect(() => loadBranches(folder, other)).toThrow(expect.objectContaining({ code: 'checkpoint.other_base' }));
  });

  it('the folder of the branches loads as the graft, upon a base in shards and unfused as well', async () => {
    const base = await baseOf(config);
    const graft = disturb(graftOnto(base, { ...OPTIONS, conv_size: 4 }, new Rng('branches')));
    const [baseFolder, folder] = [join(temporary, `${name}-base`), join(temporary, `${name}-upon`)];
    await saveCheckpoint(baseFolder, base, 'F32');
    const sha256 = weightsDigest(baseFolder);
    await saveBranches(folder, graft, 'F32', { base: { folder: baseFolder, sha256 } });
    expect(JSON.parse(readFileSync(join(folder, 'base.json'), 'utf8'))).toEqual({ folder: `../${name}-base`, sha256 });
    const expected = await logits(graft);
    const loaded = loadCheckpoint(folder, device);
    expect(loaded.config).toEqual(graft.config);
    expect(loaded.tokenizer.toJson()).toBe(tokenizer.toJson());
    expect(maxDifference(await logits(loaded), expected)).toBe(0);
    const progress: [number, number][] = [];
    loadParameters(folder, graft.config, device, { onProgress: (done, total) => progress.push([done, total]) });
    const total = [baseFolder, folder].reduce((sum, each) => sum + dataBytes(each), 0);
    expect(progress.every(([done, of], i) => of === total && done > (progress[i - 1]?.[0] ?? 0))).toBe(true);
    expect(progress.at(-1)).toEqual([total, total]);

    await saveCheckpoint(baseFolder, base, 'F32', {}, { shardBytes: 20_000 });
    expect(weightsDigest(baseFolder)).toBe(sha256);
    expect(maxDifference(await logits(loadCheckpoint(folder, device)), expected)).toBe(0);
    await saveCheckpoint(baseFolder, base, 'F32', {}, { unfused: true });
    await saveBranches(folder, graft, 'F32', { base: { folder: baseFolder, sha256: weightsDigest(baseFolder) } });
    expect(maxDifference(await logits(loadCheckpoint(folder, device)), expected)).toBe(0);
  });

  it('saved whole it is a checkpoint like any other', async () => {
    const graft = disturb(graftOnto(await baseOf(config), OPTIONS, new Rng('branches')));
    const folder = join(temporary, `${name}-whole`);
    await saveCheckpoint(folder, graft, 'F32');
    const loaded = loadCheckpoint(folder, device);
    expect(loaded.config).toEqual(graft.config);
    expect(maxDifference(await logits(loaded), await logits(graft))).toBe(0);
    expect(() => graftOnto(loaded, OPTIONS, new Rng('twice'))).toThrow(
      expect.objectContaining({ code: 'model.unsupported' }),
    );
  });
});

describe('branches find their base', () => {
  const at = (name: string) => join(temporary, name);
  const failure = (load: () => unknown) => {
    try {
      load();
    } catch (error) {
      const { code, message, hint, data } = error as { code: string; message: string; hint?: string; data?: unknown };
      return { code, message, hint, data };
    }
    return null;
  };
  const load = (base?: string) => loadCheckpoint(at('branches'), device, { base });
  let graft: GraftCheckpoint;
  beforeEach(async () => {
    const base = await baseOf(BASES.quasar);
    await saveCheckpoint(at('base'), base, 'F32');
    graft = disturb(graftOnto(base, OPTIONS, new Rng('branches')));
    await saveBranches(at('branches'), graft, 'F32', {
      base: { folder: at('base'), sha256: weightsDigest(at('base')) },
    });
  });
  afterEach(() => {
    for (const name of ['base', 'branches', 'moved']) rmSync(at(name), { recursive: true, force: true });
  });

  it('where both were moved together, or where they are told', async () => {
    renameSync(at('base'), at('moved'));
    expect(failure(load)).toMatchObject({
      code: 'checkpoint.no_base',
      message: expect.stringContaining(at('base')),
      hint: expect.stringMatching(/--base FOLDER.*base\.json/),
    });
    expect(maxDifference(await logits(load(at('moved'))), await logits(graft))).toBe(0);
    expect(failure(() => load(at('nowhere')))).toMatchObject({ code: 'checkpoint.no_base' });
    renameSync(at('moved'), at('base'));
    renameSync(temporary, `${temporary}-moved`);
    try {
      const loaded = loadCheckpoint(join(`${temporary}-moved`, 'branches'), device);
      expect(maxDifference(await logits(loaded), await logits(graft))).toBe(0);
    } finally {
      renameSync(`${temporary}-moved`, temporary);
    }
  });

  it('and no other: neither other weights nor another config', async () => {
    await saveCheckpoint(at('moved'), await baseOf(BASES.quasar, 'other'), 'F32');
    const found = failure(() => load(at('moved')));
    expect(found).toMatchObject({ code: 'checkpoint.other_base' });
    expect(found?.message).toContain(weightsDigest(at('moved')));
    expect(found?.message).toContain(weightsDigest(at('base')));
    const other = loadCheckpoint(at('moved'), device);
    expect(failure(() => loadBranches(at('branches'), other, { base: at('moved') }))).toEqual(found);
    await saveCheckpoint(at('moved'), await baseOf({ ...BASES.quasar, rms_norm_eps: 1e-5 }), 'F32');
    expect(failure(() => load(at('moved')))).toMatchObject({
      code: 'checkpoint.other_base',
      message: expect.stringMatching(/differs in rms_norm_eps$/),
    });
    expect(failure(() => load(at('branches')))).toMatchObject({ code: 'checkpoint.other_base' });
    expect(failure(() => loadCheckpoint(at('moved'), device, { base: at('base') }))).toMatchObject({
      code: 'checkpoint.other_base',
      hint: 'leave the base out',
    });
  });

  it('branches of before it was recorded are told theirs', async () => {
    rmSync(join(at('branches'), 'base.json'));
    expect(failure(load)).toMatchObject({ code: 'checkpoint.no_base', hint: expect.stringContaining('--base FOLDER') });
    expect(maxDifference(await logits(load(at('base'))), await logits(graft))).toBe(0);
  });

  it.each(['{', 'null', '{"folder": "../base"}', '{"folder": 1, "sha256": "0"}'])(
    'a base.json of %s is refused',
    (text) => {
      writeFileSync(join(at('branches'), 'base.json'), text);
      expect(failure(load)).toMatchObject({
        code: 'checkpoint.invalid',
        data: [expect.objectContaining({ code: 'checkpoint.base_record' })],
      });
    },
  );

  it('the digest of the folder is that of both', async () => {
    const before = await checkpointDigest(at('branches'));
    const base = { folder: at('base'), sha256: '0'.repeat(64) };
    await saveBranches(at('branches'), graft, 'F32', { base });
    expect(await checkpointDigest(at('branches'))).not.toBe(before);
  });
});

it('the branches are trained and nothing else, not even the expert bias; modelInfo counts them', () => {
  const base = SIZES.mini;
  const config = { model_type: 'quasar_graft', vocab_size: base.vocab_size, base, layers: [5], heads: 4, head_dim: 64 };
  const read = parseConfig({ ...config, conv_size: 4, gate_init: 0 });
  if (!read.ok) throw new Error(JSON.stringify(read.issues));
  const table = [...tensorTable(read.value)];
  expect(table.filter(([, spec]) => isTrained(spec)).every(([name]) => name.startsWith('graft.layers.5.'))).toBe(true);
  const [own, whole] = [modelInfo(base), modelInfo(read.value)];
  const [D, E] = [256, 64];
  const branch = 4 * D * D + 3 * 4 * D + 4 * D + (E * D + D * E + D) + E + 1;
  expect(whole.parts.find(({ part }) => part === 'grafted branches')?.parameters).toBe(branch);
  expect(whole.parameters.total - own.parameters.total).toBe(branch);
  expect(whole.memory.training.f32 - whole.memory.inference.f32).toBe(12 * branch);
  expect(whole.sequence.stateBytes - own.sequence.stateBytes).toBe(4 * (4 * E * E + 3 * 3 * D));
  expect(whole.layers).toEqual({ ...own.layers, 'grafted quasar': 1 });
});

const { config: GOOD } = graftOnto(await baseOf(BASES.qwen3_5), OPTIONS, new Rng('config'));
const { heads, ...HEADLESS } = GOOD;
it.each<[string, object, string[]]>([
  ['a field of nobody', { ...GOOD, alpha: 1 }, ['config.unknown_field alpha']],
  ['a missing field', HEADLESS, ['config.missing_field heads']],
  ['layers that are not there', { ...GOOD, layers: [0, 3] }, ['config.layers layers']],
  ['layers twice', { ...GOOD, layers: [0, 0] }, ['config.layers layers']],
  ['no layers', { ...GOOD, layers: [] }, ['config.layers layers']],
  ['odd heads', { ...GOOD, head_dim: 24 }, ['config.heads head_dim']],
  [
    'heads that would fill memory',
    { ...GOOD, heads: 1e9, head_dim: 1e9 },
    ['config.out_of_range head_dim', 'config.out_of_range heads'],
  ],
  ['another vocabulary', { ...GOOD, vocab_size: 3 }, ['config.wrong_value vocab_size']],
  ['a broken base', { ...GOOD, base: { ...GOOD.base, head_dim: 1 } }, ['config.out_of_range base/head_dim']],
  ['a graft upon a graft', { ...GOOD, base: GOOD }, ['config.wrong_value base/model_type']],
  ['no base', { ...GOOD, base: null }, ['config.wrong_type base']],
])('a config with %s is refused', (_, json, expected) => {
  const read = parseConfig(json);
  const found = read.ok ? [] : read.issues.map(({ code, path }) => `${code} ${path?.replace('config.json/', '')}`);
  expect(found.sort()).toEqual(expected);
});
