import { expect, it } from 'vitest';
import { Throughput } from './throughput.ts';

const MINUTE_MS = 60_000;

it('is the mean at first, then that of the last minute', () => {
  const throughput = new Throughput(1000);
  expect(throughput.add(50, 2000)).toBe(50);
  expect(throughput.add(150, 3000)).toBe(100);
  let [atMs, speed] = [3000, 0];
  const run = (tokensPerSecond: number, ms: number, stepMs: number) => {
    for (const endMs = atMs + ms; atMs < endMs; ) {
      atMs += stepMs;
      speed = throughput.add((tokensPerSecond * stepMs) / 1000, atMs);
    }
    return speed;
  };
  expect(run(100, 60 * MINUTE_MS, 250)).toBeCloseTo(100, 6);
  // Half a minute of the other speed is half of the minute.
  expect(run(20, MINUTE_MS / 2, 250)).toBeCloseTo(60, 0);
  expect(run(20, MINUTE_MS, 250)).toBeCloseTo(20, 6);
  expect(run(1000, 2 * MINUTE_MS, 1)).toBeCloseTo(1000, 6);
});

it('counts pauses; a step that takes longer than a minute is a window of its own', () => {
  const throughput = new Throughput(0);
  expect(throughput.add(600, 6000)).toBe(100);
  expect(throughput.add(600, 60_000)).toBe(20);
  expect(throughput.add(900, 60_000 + 90_000)).toBe(10);
});
