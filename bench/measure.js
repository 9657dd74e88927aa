/** @file Timing: medians of interleaved repeats, so that what the machine does besides hits everybody alike. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * @typedef {object} Runner
 * @property {string} name
 * @property {(repeats: number) => Promise<number>} sample seconds per repeat, measured by whoever does the work
 */

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A runner of this process. @param {() => unknown} body one repeat @param {() => Promise<unknown>} finish waits for the device */
export function own(name, body, finish) {
  return {
    name,
    async sample(repeats) {
      const startedAtMs = performance.now();
      for (let i = 0; i < repeats; i++) {
        const pending = body();
        if (pending instanceof Promise) await pending;
      }
      await finish();
      return (performance.now() - startedAtMs) / 1000 / repeats;
    },
  };
}

/** Work shorter than this is run once, untimed, before each sample: the runner before it took the caches. */
const WARM_BELOW_S = 0.2;
/** Idle threads of the runner before (pools that spin before they sleep) are given this long to go quiet. */
const PAUSE_MS = 40;

/**
 * Samples of every runner, in turn: a, b, c, a, b, c, …
 * @param {Runner[]} runners
 * @param {{rounds: number, sampleS: number, budgetS: number}} plan `sampleS`: shortest sample; `budgetS`: rounds are cut
 * (to no fewer than three, or the rounds asked for) where they would take longer than this
 * @returns {Promise<Map<string, number[] | Error>>} seconds per repeat, one per round, by name; an Error for a runner that failed
 */
export async function interleave(runners, { rounds, sampleS, budgetS }) {
  const results = new Map();
  const active = [];
  let roundS = 0;
  for (const runner of runners) {
    try {
      const first = await runner.sample(1);
      const seconds = first > 1 ? first : await runner.sample(1);
      const repeats = Math.min(2000, Math.max(1, Math.round(sampleS / seconds)));
      active.push({ runner, repeats, isWarmed: seconds < WARM_BELOW_S });
      results.set(runner.name, []);
      roundS += seconds * repeats + PAUSE_MS / 1000;
    } catch (error) {
      results.set(runner.name, error);
    }
  }
  const count = Math.min(rounds, Math.max(3, Math.floor(budgetS / roundS)));
  for (let round = 0; round < count; round++) {
    for (const { runner, repeats, isWarmed } of active) {
      if (active.length > 1) await sleep(PAUSE_MS);
      if (isWarmed) await runner.sample(1);
      results.get(runner.name).push(await runner.sample(repeats));
    }
  }
  return results;
}
