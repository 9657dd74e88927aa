/** @file One run of the fault net from start to verdict; a failure names its seed and keeps what is needed to see why. */
import { expect } from 'vitest';
import { FaultNet } from './fault-net.ts';
import { checkInvariants } from './invariants.ts';
import { describeFault, EVALUATORS, type Scheduled, VALIDATORS } from './schedule.ts';

/** A few rounds, for what had to wait. */
const SETTLE_MS = 120_000;

export interface Survival {
  rounds: number;
  kings: number;
  rows: number;
  /** How often each one struck. */
  faults: Record<string, number>;
  seconds: number;
  endings: readonly string[];
}

export async function liveThrough(options: {
  seed: string;
  rounds: number;
  blockTimeMs: number;
  schedule: readonly Scheduled[];
  limitMs: number;
}): Promise<Survival> {
  const beganMs = performance.now();
  const net = new FaultNet(options);
  let isGood = false;
  try {
    await net.start();
    await net.run(options.limitMs);
    await net.settle(SETTLE_MS);
    const { endings } = net.processes;
    const ends = await net.processes.stop([...VALIDATORS, ...EVALUATORS]);
    // 130: told to stop, and stopped.
    for (const [name, end] of ends) expect([130, 'SIGTERM'], `${name} ended with ${end}`).toContain(end);
    const found = await checkInvariants(net);
    isGood = true;
    const seconds = Math.round((performance.now() - beganMs) / 1000);
    return { ...found, faults: tally(net.struck.map(({ kind, target }) => `${kind} ${target}`)), seconds, endings };
  } catch (error) {
    console.error(
      [
        `seed ${options.seed}; home kept at ${net.home}`,
        ...options.schedule.map(describeFault),
        ...net.processes.endings,
      ].join('\n'),
    );
    throw error;
  } finally {
    await net.close(isGood);
  }
}

function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
