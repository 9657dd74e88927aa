/** @file Averages of weights: what they are, that they are what a run leaves, and that they resume. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tensorTable } from '@quasar/model';
import { cast, type Tensor } from '@quasar/tensor';
import { expect, it } from 'vitest';
import { WeightAverage } from './average.ts';
import { worldSource } from './data/source.ts';
import { digestOf, TINY, TOKENIZER, tinyCheckpoint, tinyRun } from './testing/tiny.ts';
import { train } from './trainer.ts';

const NAME = 'model.norm.weight';

it('follows the weights by its decay, and changes places with them', async () => {
  const { parameters } = tinyCheckpoint();
  const weight = parameters.get(NAME) as Tensor;
  const average = new WeightAverage(parameters, tensorTable(TINY), 0.75);
  weight.write(new Float32Array(weight.size).fill(5));
  average.update();
  average.swap();
  expect([...(await weight.read())]).toEqual(Array(weight.size).fill(2));
  average.swap();
  expect([...(await weight.read())]).toEqual(Array(weight.size).fill(5));
  expect(average.state().size).toBe([...tensorTable(TINY).values()].filter(({ role }) => role !== 'buffer').length);
  average.dispose();
});

it('of weights in 16 bits is kept in floats', async () => {
  const { parameters } = tinyCheckpoint();
  const stored = cast(parameters.get(NAME) as Tensor, 'bf16');
  const average = new WeightAverage(new Map(parameters).set(NAME, stored), tensorTable(TINY), 0.5);
  stored.write(new Float32Array(stored.size).fill(1.0078125));
  average.update();
  expect([...((await average.state().get(`a.${NAME}`)?.read()) ?? [])][0]).toBeCloseTo(1.00390625, 8);
  average.swap();
  average.swap();
  expect((await stored.read())[0]).toBe(1.0078125);
  average.dispose();
});

it('a run leaves the average, which is what it evaluated last; a stopped one the same', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'quasar-average-'));
  const settings = { steps: 12, averageDecay: 0.8, evaluateEvery: 4 };
  const heldOut = { world: worldSource(TOKENIZER) };
  try {
    const [whole, without] = [tinyRun(settings, { heldOut }), tinyRun({ ...settings, averageDecay: 0 }, { heldOut })];
    const { evaluations } = await train(whole);
    const last = await train({
      ...tinyRun({ ...settings, steps: 0, averageDecay: 0 }, { heldOut }),
      checkpoint: whole.checkpoint,
    });
    expect(last.evaluations[0]?.heldOut).toEqual(evaluations.at(-1)?.heldOut);
    await train(without);
    expect(await digestOf(whole.checkpoint)).not.toBe(await digestOf(without.checkpoint));
    const stopping = new AbortController();
    const stopped = tinyRun(settings, {
      heldOut,
      directory,
      signal: stopping.signal,
      onStep: ({ step }) => step === 6 && stopping.abort(),
    });
    await expect(train(stopped)).rejects.toMatchObject({ code: 'train.cancelled' });
    const resumed = tinyRun(settings, { heldOut, directory });
    expect((await train(resumed)).evaluations).toEqual(evaluations);
    expect(await digestOf(resumed.checkpoint)).toBe(await digestOf(whole.checkpoint));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
