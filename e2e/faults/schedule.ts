/** @file Which fault strikes whom, when, and for how long: drawn from a seed before the net starts, so that a failure can be repeated. */
import { Rng } from '@quasar/base';
import { WIRE_FAULTS, type WireFault } from './proxy.ts';

export const VALIDATORS = ['first', 'second'] as const;
export type ValidatorName = (typeof VALIDATORS)[number];
export type Service = 'chain' | 'hub';

export type Fault =
  | { kind: 'kill'; target: ValidatorName | Service }
  | { kind: 'freeze'; target: ValidatorName | Service }
  | { kind: 'wire'; target: ValidatorName; to: Service; fault: WireFault }
  | { kind: 'disk'; target: ValidatorName }
  | { kind: 'clock'; target: ValidatorName; shiftMs: number };

export type Scheduled = Fault & {
  /** Counted from the first round of the run. */
  round: number;
  /** Blocks after the start of the round. */
  offset: number;
  forMs: number;
};

const SHORTEST_MS = 300;
const LONGEST_MS = 2500;
const HOUR_MS = 3_600_000;

/** Every kind of fault once for every target, in a seeded order, again and again. */
export function drawSchedule(options: {
  seed: string;
  rounds: number;
  perRound: number;
  roundBlocks: number;
}): Scheduled[] {
  const { seed, rounds, perRound, roundBlocks } = options;
  const rng = new Rng(`faults/${seed}`);
  const between = (low: number, high: number) => low + Math.floor(rng.next() * (high - low));
  let deck: Fault[] = [];
  return Array.from({ length: Math.floor(rounds * perRound) }, (_, i) => {
    if (deck.length === 0) deck = shuffled(allFaults(rng), rng);
    return {
      ...deck.pop()!,
      round: Math.floor(i / perRound),
      offset: between(0, roundBlocks),
      forMs: between(SHORTEST_MS, LONGEST_MS),
    };
  });
}

function allFaults(rng: Rng): Fault[] {
  const faults: Fault[] = [
    { kind: 'kill', target: 'chain' },
    { kind: 'kill', target: 'hub' },
    { kind: 'freeze', target: 'chain' },
    { kind: 'freeze', target: 'hub' },
  ];
  for (const target of VALIDATORS) {
    faults.push(
      { kind: 'kill', target },
      { kind: 'kill', target },
      { kind: 'freeze', target },
      { kind: 'disk', target },
    );
    faults.push({ kind: 'clock', target, shiftMs: Math.round((rng.next() - 0.5) * 48 * HOUR_MS) });
    for (const to of ['chain', 'hub'] as const)
      for (const fault of WIRE_FAULTS) faults.push({ kind: 'wire', target, to, fault });
  }
  return faults;
}

function shuffled<T>(items: readonly T[], rng: Rng): T[] {
  const left = [...items];
  return items.map(() => left.splice(Math.floor(rng.next() * left.length), 1)[0]!);
}

export function describeFault(fault: Scheduled): string {
  const what = fault.kind === 'wire' ? `${fault.fault} to the ${fault.to}` : fault.kind;
  const shift = fault.kind === 'clock' ? ` by ${(fault.shiftMs / HOUR_MS).toFixed(1)} h` : '';
  return `round +${fault.round}, block +${fault.offset}: ${fault.target}: ${what}${shift} for ${fault.forMs} ms`;
}
