/**
 * @file The verdict of a round, from what was measured: a pure function of evidence and rules.
 *
 * Everything it says is written in one transaction. Anybody with the same log can judge the round again and must get
 * the same events. A challenger is judged on the prompts up to where its sequential test decided, whether or not more were
 * measured, and king and base on the same ones: a validator that stopped there agrees with one that went on.
 */
import {
  type AxisSpec,
  type AxisValue,
  bootstrapInterval,
  brokenAxes,
  type Composite,
  composeAxes,
  mean,
  pairedDeltas,
  relativeAxes,
  type SequentialVerdict,
  sequentialVerdict,
} from '@quasar/evals';
import type { DuelJudged, NewContestEvent } from '../events.ts';
import type { RoundState } from '../projection.ts';
import type { SubnetConfig } from '../rules/config.ts';
import { type CrownGate, type DuelEntry, decideCrown } from '../rules/crown.ts';
import { checkKlLimits } from '../rules/kl-limits.ts';
import { paretoView } from '../rules/pareto.ts';
import { BASE_ID, entrant, type Submission, TEACHER_ID } from '../rules/submission.ts';

export interface Evidence {
  round: RoundState;
  config: SubnetConfig;
  configHash: string;
  atBlock: number;
  /** The king, or the base student. */
  incumbent: Submission;
  /** Measured in full, or up to where its duel was decided. */
  challengers: readonly Submission[];
}

/** One challenger's duel, on the prompts that decided it. */
interface Duel {
  verdict: SequentialVerdict;
  deltas: Float64Array;
  kl: number[];
  kingKl: number[];
}

/** JSON has no infinity; a t beyond this is certain either way. */
const MAX_T = 1e9;

/** @returns the events of the verdict. @throws Error when a model of the round was not measured: never judge on gaps */
export function judgeRound(evidence: Evidence): NewContestEvent[] {
  const { round, config, incumbent, challengers } = evidence;
  const at = { round: round.round, atBlock: evidence.atBlock };
  const duels = new Map(challengers.map(({ id }) => [id, fight(evidence, id)]));
  const composites = composeRound(evidence, duels);
  const scored = (model: Submission): NewContestEvent => {
    const { axes, weighted, worst, worstAxis, quality } = composites.get(model.id)!;
    const perPrompt = duels.get(model.id)?.kl ?? klOf(round, model.id);
    return {
      type: 'evaluation.scored',
      data: {
        ...{ ...at, id: model.id, ...entrant(model) },
        kl: { mean: mean(perPrompt), perPrompt },
        ...{ axes, weighted, worst, worstAxis, quality },
      },
      key: `${round.round}:${model.id}`,
    };
  };
  const events = [incumbent, ...challengers].map(scored);

  const entries: DuelEntry[] = [];
  for (const submission of challengers) {
    const { verdict, kl: klPerPrompt } = duels.get(submission.id)!;
    const kl = mean(klPerPrompt);
    const issue = checkKlLimits(kl, mean(klOf(round, BASE_ID).slice(0, verdict.atN)), config.kl);
    if (issue) {
      events.push({
        type: 'submission.rejected',
        data: { ...at, id: submission.id, ...entrant(submission), status: 'INVALID', issues: [issue] },
        key: submission.id,
      });
      continue;
    }
    entries.push({ submission, klPerPrompt, kl, test: verdict.test, composite: composites.get(submission.id)! });
  }

  const kingComposite = composites.get(incumbent.id)!;
  const decision = decideCrown(entries, kingComposite.quality, config.crown, config.duel);
  for (const entry of entries) {
    const { id } = entry.submission;
    const duel = duels.get(id)!;
    const hasAxes = !skipsAxes(config, duel);
    const gate = hasAxes ? decision.gates.get(id)! : unmeasured(decision.gates.get(id)!, duel.verdict);
    const winner = decision.crowned?.submission;
    const shown: CrownGate = decision.outranked.includes(id)
      ? { ...gate, passed: false, reasons: [`outranked in the same round by uid ${winner?.uid} (${winner?.repo})`] }
      : gate;
    const pareto = hasAxes ? paretoView(entry.composite, kingComposite, config.pareto) : null;
    const data = { ...at, ...describe(evidence, entry, duel), crownGate: shown, pareto };
    events.push({ type: 'duel.judged', data, key: `${round.round}:${id}` });
  }
  const crowned = decision.crowned?.submission.id ?? null;
  events.push({
    type: 'round.judged',
    data: { ...at, crowned, deferred: decision.deferred, configHash: evidence.configHash },
    key: String(round.round),
  });
  return events;
}

function fight({ round, config, incumbent }: Evidence, id: string): Duel {
  const kingKl = klOf(round, incumbent.id);
  const kl = klOf(round, id);
  const deltas = pairedDeltas(kingKl.slice(0, kl.length), kl);
  // Short teachers make short duels: the last look is where the king's prompts end.
  const verdict = sequentialVerdict(deltas, { ...config.duel, prompts: kingKl.length });
  const { decided, atN } = verdict;
  if (decided === null)
    throw new Error(
      `judgeRound: ${id} has ${kl.length} of ${kingKl.length} prompts in round ${round.round}, undecided`,
    );
  return { verdict, deltas: deltas.slice(0, atN), kl: kl.slice(0, atN), kingKl: kingKl.slice(0, atN) };
}

/** The axes of a challenger that lost early count for nothing where the rules say so, and need not be measured. */
export function skipsAxes({ duel }: SubnetConfig, { verdict }: { verdict: SequentialVerdict }): boolean {
  return verdict.reason === 'futility' && duel.sequential?.futility.skipAxes === true;
}

function unmeasured(gate: CrownGate, { atN }: SequentialVerdict): CrownGate {
  return { ...gate, passed: false, reasons: [`the duel was lost after ${atN} prompts: the axes were not measured`] };
}

function describe(
  { round, incumbent, config }: Evidence,
  { submission, kl }: DuelEntry,
  { verdict, deltas, kingKl }: Duel,
): Omit<DuelJudged, 'round' | 'atBlock' | 'crownGate' | 'pareto'> {
  const { n, meanDelta, se, t, p, lcb, win } = verdict.test;
  const { reason, logEvidence, winProbability } = verdict;
  const bootstrap = bootstrapInterval(deltas, { resamples: config.duel.bootstrapResamples, seed: round.seedHash });
  const prompts = klOf(round, incumbent.id).length;
  return {
    ...{ id: submission.id, ...entrant(submission), king: entrant(incumbent) },
    ...{ n, meanDelta, se, t: Math.max(-MAX_T, Math.min(MAX_T, t)), p, lcb, bootstrap },
    sequential: { reason: reason!, prompts, logEvidence, winProbability },
    ...{ kingKl: mean(kingKl), challengerKl: kl, win },
  };
}

export function axisSpecs({ axes }: SubnetConfig): AxisSpec[] {
  return axes.specs.map((spec) => ({ ...spec, relative: ['kl', 'on_policy_rkl'].includes(spec.name) }));
}

/** Composites of the incumbent and the challengers, by id. */
function composeRound(evidence: Evidence, duels: ReadonlyMap<string, Duel>): Map<string, Composite> {
  const { round, config, incumbent, challengers } = evidence;
  const specs = axisSpecs(config);
  const axesOf = (id: string) => {
    const duel = duels.get(id);
    // Also where they were measured: verdicts must not depend on it.
    if (duel && skipsAxes(config, duel)) return { axes: NO_AXES, rkl: null, rklPrompts: 0 };
    const axes = round.axes.get(id);
    if (!axes) throw new Error(`judgeRound: no axes of ${id} in round ${round.round}`);
    return axes;
  };
  const broken = brokenAxes(specs, axesOf(TEACHER_ID).axes, axesOf(BASE_ID).axes, config.axes.broken);
  const models = [incumbent, ...challengers];
  const rkls = models.map(({ id }) => axesOf(id).rkl).filter((rkl) => rkl !== null);
  const bestRkl = Math.min(...rkls);
  return new Map(
    models.map(({ id }) => {
      const { axes, rkl, rklPrompts } = axesOf(id);
      const whole = klOf(round, id);
      const { kl: perPrompt, kingKl } = duels.get(id) ?? { kl: whole, kingKl: whole };
      const own = { kl: mean(perPrompt), prompts: perPrompt.length, rkl: rkl ?? Number.POSITIVE_INFINITY, rklPrompts };
      return [id, composeAxes(specs, { ...axes, ...relativeAxes(own, { kingKl: mean(kingKl), bestRkl }) }, broken)];
    }),
  );
}

const NO_AXES: Readonly<Record<string, AxisValue>> = {};

function klOf(round: RoundState, id: string): number[] {
  const part = round.kl.get(id);
  if (!part) throw new Error(`judgeRound: no KL of ${id} in round ${round.round}`);
  return part.perPrompt;
}
