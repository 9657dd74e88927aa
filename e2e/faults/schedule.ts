/** @file Which fault strikes whom, when, and for how long: drawn from a seed before the net starts, so that a failure can be repeated. */
import { Rng } from '@quasar/base';
import { WIRE_FAULTS, type WireFault } from './proxy.ts';

export const VALIDATORS = ['first', 'second'] as const;
export type ValidatorName = (typeof VALIDATORS)[number];
/** Of the first validator, each a process of its own. The second computes beside itself. */
export const EVALUATORS = ['evaluator-a', 'evaluator-b'] as const;
export type EvaluatorName = (typeof EVALUATORS)[number];
export type Service = 'chain' | 'hub';
/** The process in which models run, a child of whoever computes. */
export type CageName = `cage of ${EvaluatorName | 'second'}`;
/** Whoever is entering the contest at that moment. */
export type ProcessName = Service | ValidatorName | EvaluatorName | CageName | 'miner';

export type Fault =
  | { kind: 'kill'; target: ProcessName | 'postgres' }
  | { kind: 'freeze'; target: ProcessName }
  | { kind: 'wire'; target: ValidatorName; to: Service | 'queue'; fault: WireFault }
  | { kind: 'disk'; target: ValidatorName }
  | { kind: 'clock'; target: ValidatorName; shiftMs: number };

export type Scheduled = Fault & {
  /** Counted from the first round of the run. */
  round: number;
  /** Blocks after the start of the round. */
  offset: number;
  forMs: number;
  /** After that it waits until a round of this validator is being measured. */
  atWorkOf: ValidatorName | null;
};

const SHORTEST_MS = 300;
const LONGEST_MS = 2500;
const HOUR_MS = 3_600_000;
/** Of a round: in that part of it miners enter and rounds are measured. */
const BUSY_SHARE = 0.3;
/** Of the kills of validators: they strike where there is most to lose. */
const AT_WORK_SHARE = 0.5;

/** Every kind of fault for every target, in a seeded order, again and again. */
export function drawSchedule(options: {
  seed: string;
  rounds: number;
  perRound: number;
  roundBlocks: number;
  hasPostgres: boolean;
}): Scheduled[] {
  const { seed, rounds, perRound, roundBlocks, hasPostgres } = options;
  const rng = new Rng(`faults/${seed}`);
  const between = (low: number, high: number) => low + Math.floor(rng.next() * (high - low));
  let deck: Fault[] = [];
  return Array.from({ length: Math.floor(rounds * perRound) }, (_, i) => {
    if (deck.length === 0) deck = shuffled(allFaults(rng, hasPostgres), rng);
    const fault = deck.pop()!;
    const round = Math.floor(i / perRound);
    const atWorkOf = workOf(fault, rng);
    const isEarly = atWorkOf !== null || fault.target === 'miner';
    const offset = between(0, isEarly ? BUSY_SHARE * roundBlocks : roundBlocks);
    return { ...fault, round, offset, forMs: between(SHORTEST_MS, LONGEST_MS), atWorkOf };
  }).sort((a, b) => a.round - b.round || a.offset - b.offset);
}

function allFaults(rng: Rng, hasPostgres: boolean): Fault[] {
  const cages = (['second', ...EVALUATORS] as const).map((name): CageName => `cage of ${name}`);
  const processes: ProcessName[] = ['chain', 'hub', ...VALIDATORS, ...EVALUATORS, ...cages, 'miner'];
  const faults = processes.flatMap((target): Fault[] => [
    { kind: 'kill', target },
    { kind: 'freeze', target },
  ]);
  for (const target of VALIDATORS) {
    faults.push({ kind: 'kill', target }, { kind: 'disk', target });
    faults.push({ kind: 'clock', target, shiftMs: Math.round((rng.next() - 0.5) * 48 * HOUR_MS) });
    for (const to of ['chain', 'hub'] as const)
      for (const fault of WIRE_FAULTS) faults.push({ kind: 'wire', target, to, fault });
  }
  if (!hasPostgres) return faults;
  faults.push({ kind: 'kill', target: 'postgres' }, { kind: 'kill', target: 'postgres' });
  // An answer in HTTP is nothing that a server of Postgres gives.
  for (const fault of WIRE_FAULTS.filter((one) => one !== 'error'))
    faults.push({ kind: 'wire', target: 'first', to: 'queue', fault });
  return faults;
}

/** Whose work a fault is to disturb; null where any time is as good. */
function workOf(fault: Fault, rng: Rng): ValidatorName | null {
  const { kind, target } = fault;
  if (target === 'cage of second') return 'second';
  if (kind === 'wire' && fault.to === 'queue') return 'first';
  if (kind === 'kill' && (target === 'first' || target === 'second')) return rng.next() < AT_WORK_SHARE ? target : null;
  return /^(evaluator|cage|postgres)/.test(target) ? 'first' : null;
}

function shuffled<T>(items: readonly T[], rng: Rng): T[] {
  const left = [...items];
  return items.map(() => left.splice(Math.floor(rng.next() * left.length), 1)[0]!);
}

export function describeFault(fault: Scheduled): string {
  const what = fault.kind === 'wire' ? `${fault.fault} to the ${fault.to}` : fault.kind;
  const shift = fault.kind === 'clock' ? ` by ${(fault.shiftMs / HOUR_MS).toFixed(1)} h` : '';
  const work = fault.atWorkOf === null ? '' : `, when ${fault.atWorkOf} measures`;
  return `round +${fault.round}, block +${fault.offset}${work}: ${fault.target}: ${what}${shift} for ${fault.forMs} ms`;
}
