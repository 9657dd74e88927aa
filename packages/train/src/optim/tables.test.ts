/** @file Tables of rows: Adam on the rows that were read, beside AdamW and Muon; training and resuming a model with Engram. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type QuasarLongConfig, SIZES, type TensorSpec, tensorTable } from '@quasar/model';
import { openDevice, Tensor } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { digestOf, TOKENIZER, tinyCheckpoint, tinyRun, valuesOf } from '../testing/tiny.ts';
import { train } from '../trainer.ts';
import { ADAMW_DEFAULTS, AdamW, squaredNorm } from './adamw.ts';
import { Muon } from './muon.ts';

const device = openDevice('auto');

/** One hybrid layer and a memory of n-grams beside it. */
const CONFIG: QuasarLongConfig = {
  ...SIZES['preview-nano'],
  vocab_size: TOKENIZER.vocabSize,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 16,
  num_experts: 4,
  moe_intermediate_size: 16,
  moe_shared_expert_intermediate_size: 16,
  hybrid_attention_layers: [1],
  engram_layers: [1],
  engram_dim: 32,
  engram_slots: 4000,
  engram_num_heads: 2,
};
const TABLES = 'model.layers.1.engram.embed_tables';

it.each([AdamW, Muon])(
  '%o: rows that were read move by Adam at their own rate, without decay; others stay',
  async (Kind) => {
    const spec: TensorSpec = { shape: [2, 3, 2], role: 'table', init: { kind: 'constant', value: 0 }, lrScale: 5 };
    const initial = Float64Array.from({ length: 12 }, (_, i) => i + 1);
    const table = Tensor.from(device, spec.shape, initial);
    const optimizer = new Kind(new Map([['t', table]]), new Map([['t', spec]]), ADAMW_DEFAULTS);
    const ids = Tensor.from(device, [3], [4, 1, 4], 'int');
    const rows = Tensor.from(device, [3, 2], [0.5, -1, 2, 0.25, 1.5, -3]);
    optimizer.update([{ ids, rows }], 0.01, 0);
    const { beta1, beta2, eps } = ADAMW_DEFAULTS;
    const expected = [...initial];
    for (const [row, sum] of [
      [4, [2, -4]],
      [1, [2, 0.25]],
    ] as const) {
      sum.forEach((g, d) => {
        const [m, v] = [(1 - beta1) * g, (1 - beta2) * g * g];
        const at = row * 2 + d;
        expected[at] = (expected[at] as number) - (0.05 * (m / (1 - beta1))) / (Math.sqrt(v / (1 - beta2)) + eps);
      });
    }
    const got = await table.read();
    expected.forEach((x, i) => {
      expect(Math.abs((got[i] as number) - x)).toBeLessThan(2e-6);
    });
    expect(squaredNorm([{ ids, rows }])).toBeNull();
    optimizer.dispose();
  },
);

it('a model with a memory of n-grams trains, stops and goes on to the same bits', async () => {
  const checkpoint = () => tinyCheckpoint('tables', device, CONFIG);
  const before = await valuesOf(checkpoint());
  const whole = tinyRun({ steps: 4 }, { checkpoint: checkpoint() });
  await train(whole);
  const after = await valuesOf(whole.checkpoint);
  const [from, to] = [before[TABLES], after[TABLES]] as [number[], number[]];
  const moved = from.filter((x, i) => x !== to[i]).length;
  // 4 steps of 96 tokens read at most 1536 of some 4000 rows.
  expect(moved).toBeGreaterThan(1000);
  expect(moved).toBeLessThan(from.length / 2);
  for (const [name, { dtype }] of tensorTable(CONFIG)) if (dtype) expect(after[name], name).toEqual(before[name]);

  const directory = mkdtempSync(join(tmpdir(), 'quasar-tables-'));
  const controller = new AbortController();
  const onStep = ({ step }: { step: number }) => {
    if (step === 2) controller.abort();
  };
  const stopped = tinyRun({ steps: 4 }, { checkpoint: checkpoint(), directory, onStep, signal: controller.signal });
  await expect(train(stopped)).rejects.toMatchObject({ code: 'train.cancelled' });
  const resumed = tinyRun({ steps: 4 }, { checkpoint: checkpoint(), directory });
  await train(resumed);
  expect(await digestOf(resumed.checkpoint)).toBe(await digestOf(whole.checkpoint));
  rmSync(directory, { recursive: true });
});
