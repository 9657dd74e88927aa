/** @file Weights in shards: written and read again, unfused experts, types kept in memory, and every way an index can lie. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '@quasar/base';
import { openDevice, sizeOf, type Tensor } from '@quasar/tensor';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tensorTable } from '../families/index.ts';
import { initialParameters } from '../parameters.ts';
import { fitsIn16Bits, type TensorSpec } from '../tensor-table.ts';
import { logitsOf, randomTokens, TINY, tinyParameters } from '../testing/tiny.ts';
import { TINY_LONG } from '../testing/tiny-quasar-long.ts';
import { trainBpe } from '../tokenizer/index.ts';
import { loadCheckpoint, loadParameters, saveCheckpoint } from './checkpoint.ts';
import { loadTensors, matchTensors } from './load-tensors.ts';
import type { NameMap } from './names.ts';
import { readSafetensorsHeader } from './safetensors.ts';
import { encodeIntegers, encodeTensor, toBf16 } from './tensor-bytes.ts';
import { WeightFiles } from './weight-files.ts';
import { type StreamedTensor, writeWeights } from './write-weights.ts';

const device = openDevice('auto');
const tokenizer = trainBpe(['hello world, hello king'], { vocabSize: 270 });
const CONFIG = { ...TINY, vocab_size: tokenizer.vocabSize };
const SHARD_BYTES = 40_000;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quasar-shards-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const save = async (dtype: 'F32' | 'BF16', shardBytes?: number) =>
  saveCheckpoint(
    directory,
    { config: CONFIG, parameters: await tinyParameters(device, CONFIG), tokenizer },
    dtype,
    {},
    { shardBytes },
  );
const weightFiles = () => readdirSync(directory).filter((name) => name.startsWith('model'));
const logits = (parameters: Map<string, Tensor>) =>
  logitsOf(CONFIG, parameters, { tokens: randomTokens(20, CONFIG.vocab_size, 'x'), B: 1, T: 20 });

describe('round trip', () => {
  it('shards hold at most their size, and load as one file does', async () => {
    await save('F32');
    expect(weightFiles()).toEqual(['model.safetensors']);
    const one = await logits(loadParameters(directory, CONFIG, device));
    await save('F32', SHARD_BYTES);
    const names = weightFiles();
    expect(names.length).toBeGreaterThan(3);
    expect(names.at(-1)).toBe('model.safetensors.index.json');
    for (const name of names.slice(0, -1)) {
      expect(name).toMatch(/^model-\d{5}-of-\d{5}\.safetensors$/);
      const bytes = readFileSync(join(directory, name));
      const header = readSafetensorsHeader(bytes, bytes.length);
      if (!header.ok) throw new Error();
      const data = bytes.length - header.value.headerBytes;
      expect(data <= SHARD_BYTES || header.value.tensors.size === 1).toBe(true);
    }
    expect(await logits(loadParameters(directory, CONFIG, device))).toEqual(one);
    await save('F32');
    expect(weightFiles()).toEqual(['model.safetensors']);
  });

  it('16-bit weights stay in 16 bits and compute the same bits', async () => {
    await save('BF16', SHARD_BYTES);
    const wide = loadParameters(directory, CONFIG, device);
    const stored = loadParameters(directory, CONFIG, device, { dtype: 'stored' });
    for (const [name, spec] of tensorTable(CONFIG)) {
      expect(wide.get(name)?.dtype, name).toBe('float');
      expect(stored.get(name)?.dtype, name).toBe(fitsIn16Bits(spec) ? 'bf16' : 'float');
      expect(await stored.get(name)?.read(), name).toEqual(await wide.get(name)?.read());
    }
    expect(await logits(stored)).toEqual(await logits(wide));
  });

  it('progress ends where it says', async () => {
    const seen: [number, number][] = [];
    await save('BF16', SHARD_BYTES);
    loadCheckpoint(directory, device, { onProgress: (...of) => seen.push(of) });
    const total = seen[0]?.[1] as number;
    expect(seen.at(-1)).toEqual([total, total]);
    expect(seen.every(([done], i) => done > (seen[i - 1]?.[0] ?? 0))).toBe(true);
  });
});

describe('unfused experts', () => {
  const table = new Map([...tensorTable(CONFIG)].filter(([name]) => /layers\.2\.ffn\.(experts|router)/.test(name)));
  const names: NameMap = {
    unfused(name) {
      const base = name.replace(/_w12$|_w3$/, '');
      if (name.endsWith('experts_w12')) return (e) => [`${base}.${e}.gate_proj.weight`, `${base}.${e}.up_proj.weight`];
      return name.endsWith('experts_w3') ? (e) => [`${base}.${e}.down_proj.weight`] : null;
    },
  };
  /** Value at a place of a tensor: exact in bf16 for small tensors. */
  const value = (name: string, e: number, i: number, j: number) => ((name.length * 7 + e * 31 + i * 5 + j) % 251) - 125;
  const unfused = (change: (tensor: StreamedTensor) => StreamedTensor = (t) => t): StreamedTensor[] =>
    [...table].flatMap(([name, { shape }]) => {
      const [E, inner, out] = shape as [number, number, number];
      const of = names.unfused(name);
      if (!of) return [tensor(name, shape, new Float32Array(sizeOf(shape)))];
      return Array.from({ length: E }, (_, e) =>
        of(e).map((each, part, all) => {
          const width = out / all.length;
          const values = new Float32Array(width * inner);
          for (let j = 0; j < width; j++)
            for (let i = 0; i < inner; i++) values[j * inner + i] = value(name, e, i, part * width + j);
          return change(tensor(each, [width, inner], values));
        }),
      ).flat();
    });
  const tensor = (name: string, shape: number[], values: Float32Array): StreamedTensor => ({
    name,
    shape,
    dtype: 'BF16',
    pieces: () => [new Uint8Array(toBf16(values).buffer)],
  });
  const load = (dtype: 'f32' | 'stored') => loadTensors(WeightFiles.open(directory), table, names, device, { dtype });

  it.each(['f32', 'stored'] as const)('become the fused tensors: %s', async (dtype) => {
    await writeWeights(directory, unfused(), { shardBytes: SHARD_BYTES });
    const loaded = load(dtype);
    for (const [name, { shape }] of table) {
      if (!names.unfused(name)) continue;
      const [, inner, out] = shape as [number, number, number];
      expect(loaded.get(name)?.dtype).toBe(dtype === 'stored' ? 'bf16' : 'float');
      const got = await loaded.get(name)?.read();
      const expected = Array.from({ length: sizeOf(shape) }, (_, at) => {
        const [e, rest] = [Math.floor(at / (inner * out)), at % (inner * out)];
        return value(name, e, Math.floor(rest / out), rest % out);
      });
      expect([...(got ?? [])]).toEqual(expected);
    }
  });

  it.each(['F32', 'BF16'] as const)('are written by a family that has them, and read again: %s', async (dtype) => {
    const config = { ...TINY_LONG, vocab_size: tokenizer.vocabSize };
    const checkpoint = { config, parameters: initialParameters(config, device, new Rng('unfused')), tokenizer };
    await saveCheckpoint(directory, checkpoint, dtype);
    const fused = loadParameters(directory, config, device);
    await saveCheckpoint(directory, checkpoint, dtype, {}, { unfused: true, shardBytes: SHARD_BYTES });
    const files = WeightFiles.open(directory);
    expect(files.tensors.get('model.layers.1.mlp.experts.7.up_proj.weight')?.shape).toEqual([16, 32]);
    expect([...files.tensors.keys()].filter((name) => /experts_w/.test(name))).toEqual([]);
    files.close();
    const again = loadParameters(directory, config, device);
    for (const [name, tensor] of fused) expect(await again.get(name)?.read(), name).toEqual(await tensor.read());
  });

  it('what is missing, extra or misshapen is reported matrix by matrix', async () => {
    const shapes = new Map(unfused().map(({ name, shape, dtype }) => [name, { shape, dtype: dtype as string }]));
    const at = 'model.layers.2.ffn.experts';
    shapes.delete(`${at}.1.up_proj.weight`);
    shapes.set(`${at}.9.down_proj.weight`, { shape: [1], dtype: 'F32' });
    const { shape = [] } = shapes.get(`${at}.0.down_proj.weight`) ?? {};
    shapes.set(`${at}.2.down_proj.weight`, { shape, dtype: 'I64' });
    shapes.set(`${at}.0.down_proj.weight`, { shape: [1], dtype: 'F32' });
    const codes = matchTensors(table, shapes, names).issues.map(({ code, path }) => `${code} ${path}`);
    expect(codes).toEqual([
      `checkpoint.missing_tensor ${at}.1.up_proj.weight`,
      `checkpoint.wrong_shape ${at}.0.down_proj.weight`,
      `checkpoint.dtype ${at}.2.down_proj.weight`,
      `checkpoint.unknown_tensor ${at}.9.down_proj.weight`,
    ]);
    // A fused tensor beside its own matrices: the matrices are too many.
    shapes.set(`${at}_w3`, { shape: table.get(`${at}_w3`)?.shape ?? [], dtype: 'F32' });
    expect(matchTensors(table, shapes, names).issues.some(({ path }) => path === `${at}.0.down_proj.weight`)).toBe(
      true,
    );
    // A family without such a map knows none of them.
    expect(matchTensors(table, shapes, null).issues[0]?.code).toBe('checkpoint.missing_tensor');
  });
});

it('tensors of integers come back to the last bit, and only as integers', async () => {
  const values = Int32Array.of(2 ** 31 - 2, 2 ** 24 + 1, -7);
  const init = { kind: 'integers', value: () => 0 } as const;
  const table = new Map([['seeds', { shape: [3], role: 'buffer', init, dtype: 'int' } satisfies TensorSpec]]);
  const write = (dtype: 'I64' | 'F32', bytes: Uint8Array) =>
    writeWeights(directory, [{ name: 'seeds', shape: [3], dtype, pieces: () => [bytes] }]);
  const load = () => loadTensors(WeightFiles.open(directory), table, null, device, { finite: true });
  await write('I64', encodeIntegers(values));
  expect(await load().get('seeds')?.read()).toEqual(values);
  await write('F32', encodeTensor(Float32Array.from(values), 'F32'));
  expect(load).toThrow(expect.objectContaining({ data: [expect.objectContaining({ code: 'checkpoint.dtype' })] }));
});

describe('an interrupted write', () => {
  const source = (count: number, drawn: number[]): StreamedTensor[] =>
    Array.from({ length: count }, (_, i) => ({
      name: `t${i}`,
      shape: [100],
      dtype: 'F32',
      pieces() {
        drawn.push(i);
        return [new Uint8Array(new Float32Array(100).fill(i).buffer)];
      },
    }));

  it('goes on after the shards that are complete, and only if they are its own', async () => {
    const first: number[] = [];
    const broken = source(6, first);
    broken[4]!.pieces = () => {
      throw new Error('power cut');
    };
    await expect(writeWeights(directory, broken, { shardBytes: 800 })).rejects.toThrow('power cut');
    expect(readdirSync(directory)).toEqual(['model-00001-of-00003.safetensors', 'model-00002-of-00003.safetensors']);
    const second: number[] = [];
    await writeWeights(directory, source(6, second), { shardBytes: 800, resume: true });
    expect(second).toEqual([4, 5]);
    expect(WeightFiles.open(directory).tensors.size).toBe(6);
    const third: number[] = [];
    await writeWeights(directory, source(6, third), { shardBytes: 800, resume: true, metadata: { seed: '2' } });
    expect(third).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('a source that gives too few bytes leaves no file', async () => {
    const [tensor] = source(1, []);
    tensor!.pieces = () => [new Uint8Array(399)];
    await expect(writeWeights(directory, [tensor!])).rejects.toMatchObject({ code: 'checkpoint.size' });
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('refused', () => {
  const INDEX = 'model.safetensors.index.json';
  const issues = (options: object = {}): string[] => {
    try {
      loadCheckpoint(directory, device, options);
    } catch (error) {
      const { code, data } = error as { code: string; data?: { code: string }[] };
      return (data ?? [{ code }]).map((issue) => issue.code.replace('checkpoint.', ''));
    }
    return [];
  };
  const edit = (change: (index: { weight_map: Record<string, unknown> }) => unknown) => {
    const path = join(directory, INDEX);
    const changed = change(JSON.parse(readFileSync(path, 'utf8')));
    writeFileSync(path, typeof changed === 'string' ? changed : JSON.stringify(changed));
  };
  /** Says that a tensor is in a file, or where another tensor is; null: does not name it. */
  const place = (name: string, file: unknown) =>
    edit((index) => {
      const map = { ...index.weight_map, [name]: index.weight_map[file as string] ?? file };
      if (file === null) delete map[name];
      return { ...index, weight_map: map };
    });
  const first = 'model.embed_tokens.weight';
  const last = 'lm_head.weight';

  const CASES: [string, string[], () => void][] = [
    ['no JSON', ['index_json'], () => edit(() => '{')],
    ['a list', ['index_json'], () => edit(() => '[]')],
    ['deep', ['index_depth'], () => edit(() => `{"weight_map":${'['.repeat(1e6)}`)],
    ['a key twice', ['index_duplicate_key'], () => edit((i) => JSON.stringify(i).replace('{', '{"metadata":{},'))],
    ['an unknown key', ['index_key'], () => edit((i) => ({ ...i, auto_map: {} }))],
    ['no total size', ['index_metadata'], () => edit((i) => ({ weight_map: i.weight_map }))],
    ['total size as text', ['index_metadata'], () => edit((i) => ({ ...i, metadata: { total_size: '1' } }))],
    ['total size too small', ['index_total_size'], () => edit((i) => ({ ...i, metadata: { total_size: 1 } }))],
    ['a map that is a list', ['index_map'], () => edit((i) => ({ ...i, weight_map: [] }))],
    ['an empty map', ['index_shards'], () => edit((i) => ({ ...i, weight_map: {} }))],
    ['a number for a file', ['index_file_name'], () => place(first, 1)],
    ...['../', '/', '..\\', 'a/', '.'].map((way): [string, string[], () => void] => [
      `a way out of the folder: ${way}`,
      ['index_file_name'],
      () => place(first, `${way}model-00001-of-00002.safetensors`),
    ]),
    ['a name with dots', ['index_file_name'], () => place(first, 'model..-00001-of-00002.safetensors')],
    ['a pickle', ['index_file_name'], () => place(first, 'pytorch_model-00001-of-00002.bin')],
    ['two series', ['index_shards'], () => place(first, 'model-00001-of-00099.safetensors')],
    [
      'a shard of the series is not named',
      ['index_shards'],
      () =>
        edit(({ weight_map: map, ...rest }) => {
          const others = Object.entries(map).filter(([, file]) => file !== map[last]);
          return { ...rest, weight_map: Object.fromEntries(others) };
        }),
    ],
    ['a shard is missing', ['shard_missing'], () => rmSync(join(directory, weightFiles()[1] as string))],
    [
      'weights that the index does not name',
      ['shard_extra'],
      () => writeFileSync(join(directory, 'other.safetensors'), 'x'),
    ],
    ['both layouts', ['two_layouts'], () => writeFileSync(join(directory, 'model.safetensors'), 'x')],
    ['a tensor said to be elsewhere', ['index_wrong_shard'], () => place(first, last)],
    ['a tensor that no shard has', ['index_absent'], () => place('ghost', last)],
    ['a tensor that the index does not name', ['index_unlisted'], () => place('model.layers.0.ln1.weight', null)],
    [
      'one shard twice',
      ['duplicate_tensor'],
      () => {
        const [a, b] = weightFiles() as [string, string];
        writeFileSync(join(directory, b), readFileSync(join(directory, a)));
      },
    ],
    [
      'a shard cut short',
      ['truncated'],
      () => {
        const path = join(directory, weightFiles()[2] as string);
        writeFileSync(path, readFileSync(path).subarray(0, -1));
      },
    ],
    ['an index of 5 MiB', ['index_too_large'], () => edit((i) => `${JSON.stringify(i)}${' '.repeat(5 * 2 ** 20)}`)],
  ];
  it.each(CASES)('%s', async (_, codes, damage) => {
    await save('BF16', SHARD_BYTES);
    damage();
    expect([...new Set(issues())]).toEqual(codes);
  });

  it('NaN and infinity, by name and index, when they are looked for', async () => {
    const at = 'model.layers.1.attn.q_proj.weight';
    for (const [dtype, bad, says] of [
      ['BF16', Number.NaN, 'NaN'],
      ['F32', Number.NEGATIVE_INFINITY, 'infinite'],
    ] as const) {
      const parameters = await tinyParameters(device, CONFIG);
      const values = Float32Array.from((await parameters.get(at)?.read()) ?? []);
      values[77] = bad;
      parameters.get(at)?.write(values);
      await saveCheckpoint(directory, { config: CONFIG, parameters, tokenizer }, dtype);
      expect(issues()).toEqual([]);
      for (const type of ['f32', 'stored'] as const) {
        expect(issues({ finite: true, dtype: type })).toEqual(['not_finite']);
        expect(() => loadCheckpoint(directory, device, { finite: true, dtype: type })).toThrow(
          `${at} is ${says} at index 77`,
        );
      }
    }
  });
});
