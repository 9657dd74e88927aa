/** @file Muon: what it moves and how far, that it trains, and that it stops and resumes like AdamW. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tensorTable } from '@quasar/model';
import { cast, openDevice, Tensor } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { worldSource } from '../data/source.ts';
import { digestOf, TINY, TOKENIZER, tinyCheckpoint, tinyRun, valuesOf } from '../testing/tiny.ts';
import { train } from '../trainer.ts';
import { ADAMW_DEFAULTS, AdamW } from './adamw.ts';
import { Muon } from './muon.ts';

const TABLE = tensorTable(TINY);
const MATRIX = 'model.layers.0.attn.q_proj.weight';
const EXPERTS = 'model.layers.0.ffn.experts_w12';
const EMBEDDING = 'model.embed_tokens.weight';

it('matrices and experts move by 0.2·lr RMS whatever their gradients, the rest as AdamW moves it', async () => {
  const [checkpoint, other] = [tinyCheckpoint(), tinyCheckpoint()];
  const settings = { ...ADAMW_DEFAULTS, weightDecay: 0 };
  const optimizer = new Muon(checkpoint.parameters, TABLE, settings);
  const adamw = new AdamW(other.parameters, TABLE, settings);
  expect([...optimizer.names].sort()).toEqual([...adamw.names].sort());
  const before = await valuesOf(checkpoint);
  const gradient = (p: Tensor) =>
    Tensor.from(
      p.device,
      p.shape,
      Float32Array.from({ length: p.size }, (_, i) => Math.sin(i * i)),
    );
  for (const each of [optimizer, adamw]) each.update(each.parameters.map(gradient), 0.1, 0.5);
  const [after, moved] = [await valuesOf(checkpoint), await valuesOf(other)];
  for (const name of [MATRIX, EXPERTS]) {
    const [x, y] = [before[name], after[name]] as [number[], number[]];
    const rms = Math.sqrt(x.reduce((sum, value, i) => sum + ((y[i] as number) - value) ** 2, 0) / x.length);
    expect(rms / (0.2 * 0.1)).toBeGreaterThan(0.6);
    expect(rms / (0.2 * 0.1)).toBeLessThan(1.25);
  }
  for (const [name, { role }] of TABLE)
    if (!['matrix', 'expert'].includes(role)) expect(after[name], name).toEqual(moved[name]);
  expect(after[EMBEDDING]).not.toEqual(before[EMBEDDING]);
  expect([...optimizer.state().keys()].filter((name) => name.endsWith(MATRIX))).toEqual([`m.${MATRIX}`]);
  expect(optimizer.step).toBe(1);
  optimizer.dispose();
  for (const tensor of checkpoint.parameters.values()) expect(tensor.requiresGrad).toBe(false);
});

it('weights stored as bf16 are their float masters rounded', async () => {
  const { parameters } = tinyCheckpoint();
  const stored = cast(parameters.get(MATRIX) as Tensor, 'bf16');
  const optimizer = new Muon(new Map(parameters).set(MATRIX, stored), TABLE);
  const ones = Tensor.filled(openDevice('auto'), stored.shape, 1);
  const initial = [...(await stored.read())];
  for (let step = 0; step < 3; step++)
    optimizer.update(
      optimizer.names.map((name) => (name === MATRIX ? ones : null)),
      0.05,
      0,
    );
  const master = optimizer.state().get(`w.${MATRIX}`) as Tensor;
  expect([...(await stored.read())]).toEqual([...(await cast(master, 'bf16').read())]);
  expect([...(await stored.read())]).not.toEqual(initial);
});

it('trains, and resumes to the same bits', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'quasar-muon-'));
  const settings = { steps: 30, learningRate: 1e-2, matrices: 'muon', evaluateEvery: 0 } as const;
  const heldOut = { world: worldSource(TOKENIZER) };
  try {
    const whole = tinyRun(settings, { heldOut });
    const { evaluations } = await train(whole);
    const [start, end] = evaluations.map((e) => e.heldOut.world?.ce as number) as [number, number];
    expect(end).toBeLessThan(start - 1);
    const controller = new AbortController();
    const stopped = train({
      ...tinyRun(settings, { heldOut, directory }),
      signal: controller.signal,
      onStep: ({ step }) => {
        if (step === 11) controller.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: 'train.cancelled' });
    const resumed = tinyRun(settings, { heldOut, directory });
    expect(await train(resumed)).toEqual({ evaluations });
    expect(await digestOf(resumed.checkpoint)).toBe(await digestOf(whole.checkpoint));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
