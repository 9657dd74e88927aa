/**
 * @file A past duel once more: every number of it computed again from the evidence and compared bit for bit.
 *
 *     verdict    the rules on what the log says was measured
 *     kl         per prompt, as the log holds it, from the units that were kept
 *     units      traces, KL, replies and rollouts of teacher, base, king and challenger, computed again from the models
 *
 * Any machine and any number of threads must get the same bits; where they differ, somebody's log, evidence, model or
 * program is not what it was.
 */
import { canonicalJson, QuasarError, sha256Hex } from '@quasar/base';
import type { StoredEvent } from '@quasar/store';
import type { UnitOutput, UnitRunner } from '../evaluation/compute.ts';
import type { ModelStore } from '../evaluation/model-store.ts';
import {
  readResult,
  readUnit,
  UNIT_KINDS,
  type Unit,
  type UnitKind,
  unitBlobs,
  unitModels,
} from '../evaluation/units.ts';
import { BASE_ID, type Submission, TEACHER_ID } from '../rules/submission.ts';
import type { EvidenceFolder, KeptUnit } from './evidence-folder.ts';
import { firstDifference, type JudgedRound, judgedRound, rejudge } from './rejudge.ts';

export interface ReplayOptions {
  /** The whole log of the validator that judged. */
  log: readonly StoredEvent[];
  evidence: EvidenceFolder;
  /** Null: the verdict alone, no model is run. */
  models: { store: ModelStore; runner: UnitRunner } | null;
  /** Which duel. */
  round: number;
  id: string;
  signal: AbortSignal;
  onProgress?: ((done: number, total: number, what: string) => void) | undefined;
}

export interface ReplayCheck {
  what: 'verdict' | UnitKind;
  /** Whose; null for the verdict. */
  name: string | null;
  /** Units or events that were compared. */
  compared: number;
  /** In words; empty when all are the same. */
  differences: string[];
}

export interface Replay {
  round: number;
  id: string;
  repo: string;
  win: boolean;
  crowned: boolean;
  checks: ReplayCheck[];
  /** Every bit of everything compared. */
  same: boolean;
}

/** @throws QuasarError `duel.unknown`, `evidence.*`, and when a model cannot be had any more `hub.*`, `evaluation.wrong_model` */
export async function replayDuel(options: ReplayOptions): Promise<Replay> {
  const { log, evidence, round, id } = options;
  const judged = judgedRound(log, round);
  const challenger = judged.challengers.find((one) => one.id === id);
  if (!challenger)
    throw new QuasarError('duel.unknown', `round ${round} has no duel of ${id}`, {
      hint: '`quasar duel list` shows the duels of this log.',
    });
  const config = evidence.rules(judged.verdict.configHash);
  const checks: ReplayCheck[] = [
    { what: 'verdict', name: null, compared: judged.events.length, differences: rejudge(judged, config) },
  ];
  if (options.models) checks.push(...(await replayUnits(options, judged, challenger)));
  const duel = judged.events.find(({ type, key }) => type === 'duel.judged' && key === `${round}:${id}`);
  return {
    ...{ round, id, repo: challenger.repo, win: (duel?.data as { win?: boolean } | undefined)?.win ?? false },
    crowned: judged.verdict.crowned === id,
    checks,
    same: checks.every(({ differences }) => differences.length === 0),
  };
}

async function replayUnits(
  options: ReplayOptions,
  judged: JudgedRound,
  challenger: Submission,
): Promise<ReplayCheck[]> {
  const { evidence, round, onProgress } = options;
  const names = [...new Set([TEACHER_ID, BASE_ID, judged.incumbent.id, challenger.id])];
  const groups = UNIT_KINDS.flatMap((what) => names.map((name) => ({ what, name }))).map(({ what, name }) => ({
    ...{ what, name, units: evidence.units(round, what, name) },
  }));
  const kept = groups.filter(({ units }) => units.length > 0);
  for (const name of names.filter((one) => one !== TEACHER_ID))
    if (!kept.some((group) => group.what === 'kl' && group.name === name))
      throw new QuasarError('evidence.missing', `round ${round} has no evidence of ${name}`, {
        hint: 'It was judged before evidence was kept, or its folder was removed. `--verdict-only` checks the rules alone.',
      });
  const total = kept.reduce((sum, { units }) => sum + units.length, 0);
  // Blobs of old rounds are gone: the traces made here stand in, which the check of the traces vouches for.
  const made = new Map<string, Uint8Array>();
  const checks: ReplayCheck[] = [];
  let done = 0;
  for (const { what, name, units } of kept) {
    const differences: string[] = what === 'kl' ? logDifferences(judged, name, units) : [];
    for (const unit of units) {
      onProgress?.(done, total, `${what} of ${name}`);
      const difference = await replayUnit(options, unit, made);
      if (difference !== null) differences.push(`${what} of ${name} from row ${unit.from}: ${difference}`);
      done++;
    }
    checks.push({ what, name, compared: units.length, differences });
  }
  onProgress?.(done, total, 'done');
  return checks;
}

/** The kept units against what the log says they came to. */
function logDifferences({ round }: JudgedRound, name: string, units: readonly KeptUnit[]): string[] {
  const logged = round.kl.get(name)?.perPrompt;
  const kept = units.flatMap(({ result }) => readResult('kl', result)?.perPrompt ?? []);
  // A duel that was decided early may have had more units done than it needed.
  if (logged && canonicalJson(kept.slice(0, logged.length)) === canonicalJson(logged)) return [];
  return [`kl of ${name}: ${firstDifference(kept, logged ?? null)}`];
}

async function replayUnit(
  { evidence, models, round, signal }: ReplayOptions,
  kept: KeptUnit,
  made: Map<string, Uint8Array>,
): Promise<string | null> {
  if (signal.aborted) throw new QuasarError('evidence.stopped', 'the replay was stopped');
  const unit = readUnit(kept.kind, kept.payload);
  if (unit === null) return 'the unit is none of this version of Quasar';
  const { store, runner } = models!;
  const directories = await Promise.all(unitModels(unit).map((ref) => store.directory(ref, signal)));
  const blobs = unitBlobs(unit).map((sha256) => made.get(sha256) ?? evidence.blob(round, sha256));
  if (blobs.some((bytes) => bytes === null)) return 'its teacher traces are neither kept nor could be made again';
  const output = await runner.run({ unit, directories, blobs: blobs as Uint8Array[] }, { signal });
  const result = withDigest(unit, output, made);
  return canonicalJson(result) === canonicalJson(kept.result) ? null : firstDifference(result, kept.result);
}

function withDigest(unit: Unit, { result, blob }: UnitOutput, made: Map<string, Uint8Array>): Record<string, unknown> {
  if (blob === null) return result;
  const sha256 = sha256Hex(blob.bytes);
  if (unit.kind === 'traces') made.set(sha256, blob.bytes);
  return { ...result, [blob.name]: sha256 };
}
