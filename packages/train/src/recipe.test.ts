/** @file The dial: models that are valid and of equal size, and work that grows with the depth. */
import { countParameters, parseConfig } from '@quasar/model';
import { describe, expect, it } from 'vitest';
import { recipe, transformerLike } from './recipe.ts';

describe.each([2, 4, 6, 8, 12])('depth %i', (depth) => {
  const { config, settings } = recipe({ depth, vocabSize: 512 });
  const transformer = transformerLike(config);

  it('gives configs that a checkpoint may have', () => {
    for (const of of [config, transformer]) expect(parseConfig(structuredClone(of))).toEqual({ ok: true, value: of });
  });

  it('gives a transformer of the same size, all of it active', () => {
    const [ours, other] = [config, transformer].map(countParameters);
    expect(Math.abs((other?.total as number) / (ours?.total as number) - 1)).toBeLessThan(0.02);
    expect((ours?.total as number) - (ours?.active as number)).toBe(config.vocab_size * config.d_model);
  });

  it('reads two tokens per parameter', () => {
    const tokens = settings.steps * settings.B * settings.T * settings.accumulate;
    expect(tokens / countParameters(config).total).toBeGreaterThanOrEqual(2);
    expect(tokens / countParameters(config).total).toBeLessThan(2.2);
  });
});

it('deeper is larger, longer and slower in its steps', () => {
  const [small, large] = [4, 8].map((depth) => recipe({ depth, vocabSize: 512 }));
  expect(countParameters(large!.config).total).toBeGreaterThan(5 * countParameters(small!.config).total);
  expect(large!.settings.steps).toBeGreaterThan(small!.settings.steps);
  expect(large!.settings.learningRate).toBe(small!.settings.learningRate / 2);
});
