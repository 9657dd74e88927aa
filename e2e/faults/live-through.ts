/** @file One run of the fault net from start to verdict; a failure names its seed and keeps what is needed to see why. */
import { expect } from 'vitest';
import { FaultNet } from './fault-net.ts';
import { checkInvariants } from './invariants.ts';
import { describeFault, type Scheduled } from './schedule.ts';

/** A few rounds, for what had to wait. */
const SETTLE_MS = 120_000;

export interface Survival {
  rounds: number;
  kings: number;
  rows: number;
  faults: number;
  endings: readonly string[];
}

export async function liveThrough(options: {
  seed: string;
  rounds: number;
  blockTimeMs: number;
  schedule: readonly Scheduled[];
  limitMs: number;
}): Promise<Survival> {
  const net = new FaultNet(options);
  let isGood = false;
  try {
    await net.start();
    await net.run(options.limitMs);
    await net.settle(SETTLE_MS);
    const { endings } = net.processes;
    const codes = await net.processes.stop(['first', 'second']);
    // 130: told to stop, and stopped.
    expect([...codes]).toEqual([
      ['first', 130],
      ['second', 130],
    ]);
    const found = await checkInvariants(net);
    isGood = true;
    return { ...found, faults: net.struck.length, endings };
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
