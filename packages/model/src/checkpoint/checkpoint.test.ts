/** @file Checkpoint directories: saved and loaded again, and everything that can be wrong with one. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDevice, referenceDevice, type Tensor } from '@quasar/tensor';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SIZES, tensorTable } from '../families/index.ts';
import { logitsOf, randomTokens, TINY, tinyParameters } from '../testing/tiny.ts';
import { trainBpe } from '../tokenizer/index.ts';
import { type Checkpoint, expectedTensors, loadCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { readConfig } from './read-config.ts';
import { readSafetensorsHeader, type TensorToWrite, writeSafetensors } from './safetensors.ts';

const device = openDevice('auto');
const tokenizer = trainBpe(['hello world, hello king'], { vocabSize: 270 });
const CONFIG = { ...TINY, vocab_size: tokenizer.vocabSize };
const WEIGHTS = 'model.safetensors';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quasar-checkpoint-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const checkpoint = async (): Promise<Checkpoint> => ({
  config: CONFIG,
  parameters: await tinyParameters(device, CONFIG),
  tokenizer,
});

async function valuesOf({ parameters }: Checkpoint): Promise<Map<string, number[]>> {
  const values = new Map<string, number[]>();
  for (const [name, tensor] of parameters) values.set(name, [...(await tensor.read())]);
  return values;
}

/** The error of loading, with its issues as `code path`. */
function failure(): { code: string; message: string; issues: string[] } {
  try {
    loadCheckpoint(directory, device);
  } catch (error) {
    const { code, message, data } = error as {
      code: string;
      message: string;
      data?: { code: string; path?: string }[];
    };
    return { code, message, issues: (data ?? []).map((issue) => `${issue.code} ${issue.path ?? ''}`.trim()) };
  }
  throw new Error('the checkpoint was loaded');
}

describe('round trip', () => {
  it('F32 keeps every bit', async () => {
    const before = await checkpoint();
    await saveCheckpoint(directory, before, 'F32', { step: '7' });
    const after = loadCheckpoint(directory, device);
    expect(after.config).toEqual(CONFIG);
    expect(await valuesOf(after)).toEqual(await valuesOf(before));
    const tokens = randomTokens(20, CONFIG.vocab_size, 'after');
    const logits = ({ parameters }: Checkpoint) => logitsOf(CONFIG, parameters, { tokens, B: 1, T: 20 });
    expect(await logits(after)).toEqual(await logits(before));
    const bytes = readFileSync(join(directory, WEIGHTS));
    const header = readSafetensorsHeader(bytes, bytes.length);
    expect(header.ok && header.value.metadata).toEqual({ step: '7' });
  });

  it('BF16 is the published form: a second round trip changes no byte', async () => {
    await saveCheckpoint(directory, await checkpoint(), 'BF16');
    const files = () => readdirSync(directory).map((name) => readFileSync(join(directory, name)));
    const first = files();
    const bytes = readFileSync(join(directory, WEIGHTS));
    const header = readSafetensorsHeader(bytes, bytes.length);
    if (!header.ok) throw new Error();
    expect([...header.value.tensors].map(([name, { shape, dtype }]) => [name, { shape, dtype }])).toEqual([
      ...expectedTensors(CONFIG),
    ]);
    await saveCheckpoint(directory, loadCheckpoint(directory, device), 'BF16');
    expect(files()).toEqual(first);
  });

  it('tokenizer.json is the same text as before', async () => {
    await saveCheckpoint(directory, await checkpoint(), 'BF16');
    const text = () => readFileSync(join(directory, 'tokenizer.json'), 'utf8');
    expect(text()).toBe(tokenizer.toJson());
    await saveCheckpoint(directory, loadCheckpoint(directory, device), 'BF16');
    expect(text()).toBe(tokenizer.toJson());
  });

  it('a model without one of its tensors is not saved at all', async () => {
    const broken = await checkpoint();
    broken.parameters.delete('model.norm.weight');
    await expect(saveCheckpoint(directory, broken, 'F32')).rejects.toMatchObject({ code: 'checkpoint.missing_tensor' });
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('refused', () => {
  /** Writes a good checkpoint with changed tensors. */
  async function save(change: (tensors: Map<string, TensorToWrite>) => void): Promise<void> {
    await saveCheckpoint(directory, await checkpoint(), 'BF16');
    const tensors = new Map<string, TensorToWrite>();
    for (const [name, { shape }] of tensorTable(CONFIG))
      tensors.set(name, { shape, dtype: 'BF16', values: new Float32Array(shape.reduce((p, n) => p * n, 1)) });
    change(tensors);
    writeFileSync(join(directory, WEIGHTS), writeSafetensors(tensors));
  }

  it('missing, unknown and misshapen tensors are reported at once', async () => {
    await save((tensors) => {
      tensors.delete('model.norm.weight');
      tensors.delete('model.layers.1.attn.gk_proj.1.bias');
      tensors.set('lm_head.weight', { shape: [2, 3], dtype: 'BF16', values: new Float32Array(6) });
      tensors.set('lm_head.bias', { shape: [1], dtype: 'BF16', values: new Float32Array(1) });
      tensors.set('__proto__', { shape: [1], dtype: 'BF16', values: new Float32Array(1) });
    });
    const { code, message, issues } = failure();
    expect(code).toBe('checkpoint.invalid');
    expect(issues.sort()).toEqual([
      'checkpoint.missing_tensor model.layers.1.attn.gk_proj.1.bias',
      'checkpoint.missing_tensor model.norm.weight',
      'checkpoint.unknown_tensor __proto__',
      'checkpoint.unknown_tensor lm_head.bias',
      'checkpoint.wrong_shape lm_head.weight',
    ]);
    for (const issue of issues) expect(message).toContain(issue.split(' ')[1]);
  });

  it('a model of another size: every tensor is named, the message stays short', async () => {
    await save((tensors) => tensors.clear());
    const { issues, message } = failure();
    expect(issues).toHaveLength(tensorTable(CONFIG).size);
    expect(message.split('\n')).toHaveLength(6);
    expect(message).toContain(`and ${issues.length - 5} more`);
  });

  it('transposed weights are misshapen, though their size fits', async () => {
    await save((tensors) => {
      const { values } = tensors.get('model.layers.0.ffn.down.weight') as TensorToWrite;
      tensors.set('model.layers.0.ffn.down.weight', { shape: [CONFIG.d_ff, CONFIG.d_model], dtype: 'BF16', values });
    });
    expect(failure().issues).toEqual(['checkpoint.wrong_shape model.layers.0.ffn.down.weight']);
  });

  it('damaged weights', async () => {
    await saveCheckpoint(directory, await checkpoint(), 'BF16');
    const bytes = readFileSync(join(directory, WEIGHTS));
    writeFileSync(join(directory, WEIGHTS), bytes.subarray(0, bytes.length - 10));
    expect(failure().issues).toEqual(['checkpoint.truncated']);
    writeFileSync(join(directory, WEIGHTS), '');
    expect(failure().issues).toEqual(['checkpoint.truncated']);
  });

  it('a bad config', async () => {
    await saveCheckpoint(directory, await checkpoint(), 'BF16');
    const path = join(directory, 'config.json');
    const issues = (text: string) => {
      writeFileSync(path, text);
      const { code, issues } = failure();
      expect(code).toBe('checkpoint.invalid');
      return issues;
    };
    expect(issues('{')).toEqual([`config.not_json ${path}`]);
    expect(issues('[]')).toEqual(['config.not_object config.json']);
    expect(issues(JSON.stringify({ ...CONFIG, d_ff: 0, x: 1 }))).toEqual([
      'config.unknown_field config.json/x',
      'config.out_of_range config.json/d_ff',
    ]);
  });

  it('files that are missing, or no files', async () => {
    expect(failure().issues).toEqual([`checkpoint.missing_file ${join(directory, 'config.json')}`]);
    await saveCheckpoint(directory, await checkpoint(), 'BF16');
    rmSync(join(directory, WEIGHTS));
    expect(failure().code).toBe('checkpoint.missing_file');
    mkdirSync(join(directory, WEIGHTS));
    expect(failure().code).toBe('checkpoint.unreadable');
    rmSync(join(directory, 'tokenizer.json'));
    expect(failure().code).toBe('tokenizer.unreadable');
    rmSync(join(directory, 'config.json'));
    mkdirSync(join(directory, 'config.json'));
    expect(failure().issues).toEqual([`checkpoint.unreadable ${join(directory, 'config.json')}`]);
  });

  it('a tokenizer with more tokens than the model', async () => {
    await saveCheckpoint(directory, await checkpoint(), 'BF16');
    const large = trainBpe(['abcabc abcabc abc xyxyxyxy'], { vocabSize: 275 });
    writeFileSync(join(directory, 'tokenizer.json'), large.toJson());
    expect(failure().issues).toEqual(['checkpoint.tokenizer_too_large']);
  });

  it('leaves no memory behind', async () => {
    await saveCheckpoint(directory, await checkpoint(), 'BF16');
    let live = 0;
    const reference = referenceDevice({ precision: 'f32' });
    const failing = {
      ...reference,
      allocate(...args: Parameters<typeof reference.allocate>) {
        if (live === 10) throw new Error('out of memory');
        live++;
        return reference.allocate(...args);
      },
      free(buffer: Tensor['buffer']) {
        live--;
        reference.free(buffer);
      },
    };
    expect(() => loadCheckpoint(directory, failing)).toThrow('out of memory');
    expect(live).toBe(0);
  });
});

it('reads the config of every size we ship', () => {
  for (const config of Object.values(SIZES)) {
    writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
    expect(readConfig(directory)).toEqual({ ok: true, value: config });
  }
});
