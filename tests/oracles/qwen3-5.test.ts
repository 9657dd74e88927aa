/** @file Checkpoints that `transformers` writes (`qwen3_5.py`): config, weights, logits, a greedy continuation. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Engine } from '@quasar/infer';
import {
  decodeTensor,
  forward,
  loadParameters,
  type Parameters,
  parseConfig,
  readConfig,
  readSafetensorsHeader,
  type SafetensorsEntry,
  type TensorToWrite,
  trainBpe,
  vocabularyLogits,
  writeSafetensors,
} from '@quasar/model';
import { type Device, nativeAvailable, nativeDevice, referenceDevice, scope } from '@quasar/tensor';
import { afterAll, describe, expect, it } from 'vitest';

interface Vectors {
  tokens: number[][];
  rows: number[];
  logits: number[];
  greedy: number[];
  multimodal: { config: object; tensors: Record<string, number[]> };
}
const [B, T] = [2, 80];
const temporary = mkdtempSync(join(tmpdir(), 'qwen3-5-'));
afterAll(() => rmSync(temporary, { recursive: true }));

function oracle(name: string) {
  const folder = fileURLToPath(new URL(`./vectors/${name}`, import.meta.url));
  const vectors: Vectors = JSON.parse(readFileSync(join(folder, 'vectors.json'), 'utf8'));
  const read = readConfig(folder);
  if (!read.ok) throw new Error(JSON.stringify(read.issues));
  const config = read.value;
  const tokens = Int32Array.from(vectors.tokens.flat());
  const rows = Int32Array.from([0, 1].flatMap((b) => vectors.rows.map((t) => b * T + t)));
  const logitsOf = async (parameters: Parameters) => [
    ...(await scope(() =>
      vocabularyLogits(parameters, forward(config, parameters, { tokens, B, T }).hidden, rows),
    ).read()),
  ];
  /** Largest difference to the logits of the oracle. */
  const worst = (found: number[]) => {
    expect(found.length).toBe(vectors.logits.length);
    return Math.max(...found.map((x, i) => Math.abs(x - (vectors.logits[i] as number))));
  };
  return { folder, vectors, config, tokens, logitsOf, worst };
}

const DEVICES: [string, () => Device][] = [['reference', () => referenceDevice({ precision: 'f64' })]];
if (nativeAvailable()) DEVICES.push(['native', () => nativeDevice()]);

const MODELS = ['qwen3-5', 'qwen3-5-moe'];
const CASES = MODELS.flatMap((name) => DEVICES.map(([device, open]) => ({ name, device, open })));

describe.each(CASES)('a checkpoint of a text model, $name, $device', ({ name, open }) => {
  const { folder, vectors, config, tokens, logitsOf, worst } = oracle(name);
  it('gives the same logits within 1e-4', async () => {
    const found = await logitsOf(loadParameters(folder, config, open()));
    expect(Math.max(...found.map(Math.abs))).toBeGreaterThan(2);
    expect(worst(found)).toBeLessThan(1e-4);
  });

  it('goes on from a prompt with the same tokens', async () => {
    const device = open();
    const engine = new Engine(
      config,
      loadParameters(folder, config, device),
      trainBpe(['abc'], { vocabSize: 270 }),
      device,
    );
    const options = { maxNewTokens: vectors.greedy.length, temperature: 0, stopTokens: [] };
    const [completion] = await engine.generate([tokens.subarray(0, 20)], options);
    expect([...(completion?.tokens ?? [])]).toEqual(vectors.greedy);
  });
});

describe.each(MODELS)('a checkpoint of a multimodal model, %s', (name) => {
  const { folder, vectors, config, logitsOf, worst } = oracle(name);
  const { config: json, tensors: shapes } = vectors.multimodal;
  const bytes = readFileSync(join(folder, 'model.safetensors'));
  const header = readSafetensorsHeader(bytes, bytes.length);
  if (!header.ok) throw new Error(JSON.stringify(header.issues));
  const text = header.value.tensors;
  const textName = (name: string) => name.replace('model.language_model.', 'model.');
  /** The text weights under the names of the whole model, and zeros for the rest; changed by `change`. */
  const write = (file: string, change: (tensors: Map<string, number[]>) => void = () => {}) => {
    const all = new Map(Object.entries({ ...shapes, 'mtp.fc.weight': [32, 64] }));
    change(all);
    const tensors = new Map(
      [...all].map(([name, shape]) => {
        const entry = text.get(textName(name));
        const size = shape.reduce((product, n) => product * n, 1);
        const values = entry
          ? decodeTensor(bytes.subarray(entry.start, entry.end), entry.dtype)
          : new Float32Array(size);
        return [name, { shape, dtype: 'BF16' as const, values }];
      }),
    );
    const path = join(temporary, `${name}-${file}.safetensors`);
    writeFileSync(path, writeSafetensors(tensors));
    return path;
  };
  const device = referenceDevice({ precision: 'f64' });

  it('its text is the same model; the vision tower and the draft layers are left out by name', async () => {
    const whole = parseConfig(json);
    expect(whole).toEqual({ ok: true, value: config });
    const leftOut: string[] = [];
    const parameters = loadParameters(write('whole'), config, device, { onLeftOut: (names) => leftOut.push(...names) });
    expect(worst(await logitsOf(parameters))).toBeLessThan(1e-4);
    const others = Object.keys(shapes).filter((name) => name.startsWith('model.visual.'));
    expect(others.length).toBeGreaterThan(10);
    expect(leftOut.sort()).toEqual([...others, 'mtp.fc.weight'].sort());
  });

  it('anything else is refused: a tensor of nobody, one that is missing, one that is there twice', () => {
    const path = write('wrong', (tensors) => {
      tensors.delete('model.language_model.norm.weight');
      tensors.set('model.audio.weight', [1]);
      tensors.set('model.embed_tokens.weight', [64, 32]);
    });
    const code = (code: string, path: string) => expect.objectContaining({ code, path });
    expect(() => loadParameters(path, config, device)).toThrow(
      expect.objectContaining({
        code: 'checkpoint.invalid',
        data: [
          code('checkpoint.two_names', expect.stringContaining('embed_tokens')),
          code('checkpoint.missing_tensor', 'model.norm.weight'),
          code('checkpoint.unknown_tensor', 'model.audio.weight'),
        ],
      }),
    );
  });
});

it('experts that a file has fused, in its own layout, are those of a file with a matrix for each', async () => {
  const { folder, config } = oracle('qwen3-5-moe');
  const bytes = readFileSync(join(folder, 'model.safetensors'));
  const header = readSafetensorsHeader(bytes, bytes.length);
  if (!header.ok) throw new Error(JSON.stringify(header.issues));
  const fused = new Map<string, TensorToWrite>();
  const values = (name: string) => {
    const { start, end, dtype } = header.value.tensors.get(name) as SafetensorsEntry;
    return [...decodeTensor(bytes.subarray(start, end), dtype)];
  };
  for (const [name, { shape }] of header.value.tensors)
    if (!name.includes('.experts.')) fused.set(name, { shape, dtype: 'BF16', values: Float32Array.from(values(name)) });
  for (const layer of [0, 1]) {
    const at = `model.layers.${layer}.mlp.experts`;
    const stacked = (...names: string[]) =>
      Float32Array.from(
        [0, 1, 2, 3, 4, 5].flatMap((e) => names.flatMap((name) => values(`${at}.${e}.${name}.weight`))),
      );
    fused.set(`${at}.gate_up_proj`, { shape: [6, 32, 32], dtype: 'BF16', values: stacked('gate_proj', 'up_proj') });
    fused.set(`${at}.down_proj`, { shape: [6, 32, 16], dtype: 'BF16', values: stacked('down_proj') });
  }
  const path = join(temporary, 'fused.safetensors');
  writeFileSync(path, writeSafetensors(fused));
  const device = referenceDevice({ precision: 'f32' });
  for (const dtype of ['f32', 'stored'] as const) {
    const [one, other] = [path, folder].map((from) => loadParameters(from, config, device, { dtype }));
    for (const [name, tensor] of one as Parameters) {
      expect(tensor.dtype, name).toBe(other?.get(name)?.dtype);
      expect(await tensor.read(), name).toEqual(await other?.get(name)?.read());
    }
  }
});
