import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LlmJudge } from '@quasar/evals';
import { afterAll, expect, it } from 'vitest';
import { writeCheckpoint } from '../testing/checkpoints.ts';
import { BASE, student, TEACHER, TEST_CONFIG } from '../testing/contest.ts';
import { scoreAxes } from './score-axes.ts';

const root = mkdtempSync(join(tmpdir(), 'axes-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const options = {
  directory: writeCheckpoint(join(root, 'model'), student(0.5)),
  baseDirectory: writeCheckpoint(join(root, 'base'), BASE),
  teacherDirectory: writeCheckpoint(join(root, 'teacher'), TEACHER),
  ...{ config: TEST_CONFIG, seed: 'home' },
};

it('gives every axis but the relative ones, the same bits every time', async () => {
  const asked = new Map<string, number>();
  const scored = await scoreAxes({ ...options, onProgress: (who, done) => asked.set(who, done) });
  expect(new Set(asked.values()).size).toBe(1);
  expect([...asked.keys()]).toEqual(['teacher', 'base', 'model']);
  const own = TEST_CONFIG.axes.specs.filter(({ questions }) => questions).map(({ name }) => name);
  for (const one of [scored.model.axes, scored.base.axes, scored.teacher])
    expect(Object.keys(one)).toEqual(expect.arrayContaining([...own, 'length', 'degeneracy', 'reasoning_density']));
  expect(Object.keys(scored.model.axes)).not.toContain('kl');
  expect(scored.judge).toBe(null);

  // A judge that is away changes nothing, and says so.
  const judge = new LlmJudge({ url: 'http://127.0.0.1:9', model: 'none', limits: { attempts: 1 } });
  const { judge: verdict, ...rest } = await scoreAxes({ ...options, judge });
  expect(verdict?.broken).toMatch(/127\.0\.0\.1:9/);
  expect({ ...rest, judge: null }).toEqual(scored);
});
