/**
 * @file The measurements of a past round once more: the validator's own code, which derives every question from the seed
 * and puts numbers together, over units that somebody else answers.
 */
import type { Tokenizer } from '@quasar/model';
import type { StoredEvent } from '@quasar/store';
import type { UnitSource } from '../evaluation/dispatch.ts';
import { type ModelRef, readUnit } from '../evaluation/units.ts';
import type { EvaluationMeasured, NewContestEvent } from '../events.ts';
import type { RoundState } from '../projection.ts';
import type { SubnetConfig } from '../rules/config.ts';
import { BASE_ID, BASE_UID, TEACHER_ID } from '../rules/submission.ts';
import {
  type Bench,
  type Measured,
  type Measuring,
  measureAxes,
  measureChallenger,
  measureKl,
  measureTeacher,
} from '../validator/measure-model.ts';
import { ofHub } from '../validator/measure-round.ts';
import { roundPrompts, roundTraces } from '../validator/traces.ts';
import { type Difference, differences } from './differences.ts';
import { type EvidenceFolder, missingEvidence } from './evidence-folder.ts';
import type { Comparison } from './evidence-units.ts';
import type { JudgedRound } from './judged-round.ts';

export interface RemeasureOptions {
  judged: JudgedRound;
  config: SubnetConfig;
  evidence: EvidenceFolder;
  /** Of the base student. */
  tokenizer: Tokenizer;
  units: UnitSource;
}

export interface Remeasured {
  /** As it stood before its verdict, with what was measured now. */
  round: RoundState;
  /** Against what the log says was measured. */
  comparison: Comparison;
}

/** @throws QuasarError as `units` */
export async function remeasure({ judged, config, evidence, tokenizer, units }: RemeasureOptions): Promise<Remeasured> {
  const round: RoundState = { ...judged.round, kl: new Map(), axes: new Map() };
  const made = new Map<string, EvaluationMeasured>();
  const keep = (event: NewContestEvent) => {
    if (event.type !== 'evaluation.measured') return;
    // As it is read from a log.
    const data: EvaluationMeasured = JSON.parse(JSON.stringify(event.data));
    made.set(event.key!, data);
    if (data.part === 'kl') round.kl.set(data.id, data);
    else round.axes.set(data.id, data);
  };
  const context: Bench = {
    ...{ config, atBlock: round.atBlock },
    evaluation: { teacher: refOf(evidence, round.round, 'traces', TEACHER_ID) },
    append: (...events) => events.forEach(keep),
  };
  const prompts = roundPrompts(round, config, tokenizer);
  const traces = await roundTraces({ context, round, jobs: units }, prompts);
  const measuring: Measuring = { context, round, jobs: units, tokenizer, prompts, traces };
  const base = { id: BASE_ID, uid: BASE_UID, repo: BASE_ID, model: refOf(evidence, round.round, 'kl', BASE_ID) };
  const needed: Measured[] = judged.king ? [base, ofHub(judged.king)] : [base];
  await measureTeacher(measuring);
  for (const one of needed) await measureKl(measuring, one);
  for (const one of judged.challengers) await measureChallenger(measuring, ofHub(one));
  for (const one of needed) await measureAxes(measuring, one);
  return { round, comparison: compare(made, judged.measured) };
}

/** Base and teacher lie on every evaluator; which ones they were stands in what was asked of them. */
function refOf(evidence: EvidenceFolder, round: number, kind: 'traces' | 'kl', name: string): ModelRef {
  const [first] = evidence.units(round, kind, name);
  const unit = first && readUnit(kind, first.payload);
  if (unit) return unit.model;
  throw missingEvidence(`${evidence.placeOf(round, { kind, name, from: 0 })} is not there`);
}

function compare(made: ReadonlyMap<string, EvaluationMeasured>, logged: readonly StoredEvent[]): Comparison {
  const found: Difference[] = [];
  const then = new Map(logged.map(({ key, data }) => [key ?? '', data as EvaluationMeasured]));
  const keys = new Set([...made.keys(), ...then.keys()]);
  for (const key of keys)
    found.push(...differences(facts(made.get(key)), facts(then.get(key)), `event evaluation.measured ${key}`));
  return { compared: keys.size, differences: found };
}

/** Without the moment at which it was written, which no verdict depends on. */
function facts(data: EvaluationMeasured | undefined): unknown {
  if (!data) return undefined;
  const { atBlock: _, ...rest } = data;
  return rest;
}
