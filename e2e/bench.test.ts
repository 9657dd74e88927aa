/** @file `npm run bench` on the smallest cases, without peers: that it runs and what it says, never how fast. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { REPOSITORY } from './support/paths.ts';
import { run } from './support/run.ts';

const AREAS = readdirSync(join(REPOSITORY, 'bench/areas')).map((file) => file.replace(/\.js$/, ''));

interface Row {
  case: string;
  ours: { value: number; seconds: number };
  share: number | null;
  goals: { text: string; isMet: boolean | null }[];
}

it('every area prints rows with figures and goals as one JSON object', async () => {
  const { code, stdout } = await run(process.execPath, ['bench/run.js', '--quick', '--no-peers', '--json']);
  expect(code).toBe(0);
  const result = JSON.parse(stdout) as {
    machine: { threads: number };
    areas: Record<string, { peaks: { gflops: number; readGBs: number; copyGBs: number }; rows: Row[] }>;
  };
  expect(result.machine.threads).toBeGreaterThan(0);
  expect(Object.keys(result.areas).sort()).toEqual(AREAS.sort());
  for (const [area, { peaks, rows }] of Object.entries(result.areas)) {
    expect(Math.min(peaks.gflops, peaks.readGBs, peaks.copyGBs), area).toBeGreaterThan(0);
    expect(rows.length, area).toBeGreaterThan(0);
    for (const row of rows) expect(row.ours.value, `${area}: ${row.case}`).toBeGreaterThan(0);
  }
});

it('an unknown area is refused with the list of those there are', async () => {
  const { code, stderr } = await run(process.execPath, ['bench/run.js', 'nonsense']);
  expect(code).toBe(2);
  expect(stderr).toContain('no area nonsense');
  expect(stderr).toContain('matmul');
});
