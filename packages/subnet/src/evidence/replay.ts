/**
 * @file A past duel once more, compared bit for bit. The validator's own code measures and judges its round again, from the
 * seed: questions are derived, units are answered by what was kept or by the models, and what comes of them is held
 * against the evidence and the log.
 *
 * Any machine and any number of threads must get the same bits; where they differ, somebody's log, evidence, model or
 * program is not what it was.
 */
import { QuasarError } from '@quasar/base';
import type { Tokenizer } from '@quasar/model';
import type { StoredEvent } from '@quasar/store';
import type { UnitRunner } from '../evaluation/compute.ts';
import type { ModelStore } from '../evaluation/model-store.ts';
import { UNIT_KINDS, type UnitKind } from '../evaluation/units.ts';
import type { DuelJudged, NewContestEvent } from '../events.ts';
import type { RoundState } from '../projection.ts';
import type { SubnetConfig } from '../rules/config.ts';
import { BASE_ID, TEACHER_ID } from '../rules/submission.ts';
import { judgeRound } from '../validator/judge-round.ts';
import { type Difference, differences } from './differences.ts';
import type { EvidenceFolder } from './evidence-folder.ts';
import { type Comparison, EvidenceUnits } from './evidence-units.ts';
import { type JudgedRound, judgedRound } from './judged-round.ts';
import { remeasure } from './remeasure.ts';

export interface ReplayOptions {
  /** The whole log of the validator that judged. */
  log: readonly StoredEvent[];
  evidence: EvidenceFolder;
  /** Of the base student. */
  tokenizer: Tokenizer;
  /**
   * Teacher, base, king and challenger answer their units again; those of other challengers of the round are taken as kept.
   * Null: all are, and no model is run.
   */
  again: { models: Pick<ModelStore, 'directory'>; runner: UnitRunner } | null;
  /** Of a block of the chain that the round is on. Null: the seed is taken from the log. */
  blockHash: ((block: number) => Promise<string | null>) | null;
  /** Which duel. */
  round: number;
  id: string;
  signal: AbortSignal;
  onProgress?: ((done: number, total: number, what: string) => void) | undefined;
}

/** `seed`: the block hash, on chain; `asked`: questions, from the seed; `bytes`: what lies beside the units; kinds of units computed again; then events of the log. */
export type Compared = 'seed' | 'asked' | 'bytes' | UnitKind | 'measured' | 'scores' | 'duels' | 'refusals' | 'crown';

export interface ReplayCheck extends Comparison {
  what: Compared;
}

export interface Replay {
  round: number;
  id: string;
  seedBlock: number;
  seedHash: string;
  /** As the log holds it. */
  duel: DuelJudged;
  /** Whether the models were run. */
  computed: boolean;
  checks: ReplayCheck[];
  /** Every bit of everything compared. */
  same: boolean;
}

const EVENTS = {
  'evaluation.scored': 'scores',
  'duel.judged': 'duels',
  'submission.rejected': 'refusals',
  'round.judged': 'crown',
} as const;

/** @throws QuasarError `duel.unknown`, `evidence.*`, and when a model cannot be had `evaluation.wrong_model`, `hub.*` */
export async function replayDuel(options: ReplayOptions): Promise<Replay> {
  const { log, evidence, tokenizer, again, round, id, signal, onProgress } = options;
  const judged = judgedRound(log, round);
  const duel = judged.events.find(({ type, key }) => type === 'duel.judged' && key === `${round}:${id}`);
  if (!duel)
    throw new QuasarError('duel.unknown', `round ${round} has no duel of ${id}`, {
      hint: '`quasar duel list` shows the duels of this log.',
    });
  const config = evidence.rules(judged.verdict.configHash);
  const names = new Set([TEACHER_ID, BASE_ID, judged.incumbent.id, id]);
  const total = UNIT_KINDS.flatMap((kind) => [...names].flatMap((name) => evidence.units(round, kind, name))).length;
  const units = new EvidenceUnits({
    ...{ evidence, round, signal, again: again && { ...again, names } },
    onUnit: (kind, name) => onProgress?.(doneBy(units), total, `${kind} of ${nameOf(judged, name)}`),
  });
  const measured = await remeasure({ judged, config, evidence, tokenizer, units });
  onProgress?.(total, total, 'done');
  const checks: ReplayCheck[] = [
    { what: 'seed', ...(await compareSeed(options, judged.round)) },
    { what: 'asked', ...units.asked },
    { what: 'bytes', ...units.bytes },
    ...UNIT_KINDS.flatMap((what) => {
      const comparison = units.computed.get(what);
      return comparison ? [{ what, ...comparison }] : [];
    }),
    { what: 'measured', ...measured.comparison },
    ...verdictChecks(judged, measured.round, config),
  ];
  const { seedBlock, seedHash } = judged.round;
  return {
    ...{ round, id, seedBlock, seedHash, duel: duel.data as DuelJudged, computed: again !== null, checks },
    same: checks.every(({ differences }) => differences.length === 0),
  };
}

/** A chain that is away says nothing. */
async function compareSeed({ blockHash }: ReplayOptions, { seedBlock, seedHash }: RoundState): Promise<Comparison> {
  const hash = await blockHash?.(seedBlock).catch((error: unknown) => {
    if (error instanceof QuasarError && error.retry === 'later') return null;
    throw error;
  });
  if (typeof hash !== 'string') return { compared: 0, differences: [] };
  return { compared: 1, differences: differences(seedHash, hash, `seed of the round, block ${seedBlock}`) };
}

function doneBy({ computed }: EvidenceUnits): number {
  return [...computed.values()].reduce((sum, { compared }) => sum + compared, 0);
}

function nameOf({ king, challengers }: JudgedRound, id: string): string {
  return [king, ...challengers].find((one) => one?.id === id)?.repo ?? id;
}

/** The rules on what was measured now, event by event against the log. */
function verdictChecks(judged: JudgedRound, round: RoundState, config: SubnetConfig): ReplayCheck[] {
  const { verdict, incumbent, challengers, events } = judged;
  const { configHash, atBlock } = verdict;
  const again = judgeRound({ round, config, configHash, atBlock, incumbent, challengers });
  return Object.entries(EVENTS).flatMap(([type, what]) => {
    const now = byKey(again, type);
    const then = byKey(events, type);
    const keys = new Set([...now.keys(), ...then.keys()]);
    const found = [...keys].flatMap((key): Difference[] =>
      differences(now.get(key), then.get(key), `event ${type} ${key}`),
    );
    return keys.size === 0 ? [] : [{ what, compared: keys.size, differences: found }];
  });
}

function byKey(events: readonly (StoredEvent | NewContestEvent)[], type: string): Map<string, unknown> {
  return new Map(events.filter((event) => event.type === type).map(({ key, data }) => [key ?? '', data]));
}
