/** @file A run of hundreds of steps, with evaluations and saves, holds as much device memory at its end as near its start. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tinyStage } from '../testing/tiny-stage.ts';

it('device memory is flat over 300 steps', { timeout: 60_000 }, async () => {
  const out = mkdtempSync(join(tmpdir(), 'quasar-flat-'));
  try {
    const events = await tinyStage(out, { steps: 300, B: 1, T: 16, evaluateEvery: 50, saveEvery: 40 });
    const bytes = events.flatMap((event) => (event.type === 'step' ? [event.deviceBytes as number] : []));
    expect(bytes).toHaveLength(300);
    // Batches differ in how many rows count: what a step holds differs by those, and does not grow.
    const most = (from: number, to: number) => Math.max(...bytes.slice(from, to));
    expect(most(0, 300)).toBeGreaterThan(10_000);
    expect(most(200, 300)).toBeLessThanOrEqual(most(0, 100));
    expect(Math.min(...bytes.slice(200))).toBe(Math.min(...bytes.slice(0, 100)));
  } finally {
    rmSync(out, { recursive: true });
  }
});
