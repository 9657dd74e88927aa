/**
 * @file The verdict of a round, from what was measured: a pure function of evidence and rules.
 *
 * Everything it says is written in one transaction. Anybody with the same log can judge the round again and must get
 * the same events.
 */
import {
  bootstrapInterval,
  brokenAxes,
  type Composite,
  composeAxes,
  mean,
  pairedDeltas,
  pairedTest,
  relativeAxes,
} from '@quasar/evals';
import type { DuelJudged, NewContestEvent } from '../events.ts';
import type { RoundState } from '../projection.ts';
import type { SubnetConfig } from '../rules/config.ts';
import { type CrownGate, type DuelEntry, decideCrown } from '../rules/crown.ts';
import { checkKlLimits } from '../rules/kl-limits.ts';
import { BASE_ID, entrant, type Submission, TEACHER_ID } from '../rules/submission.ts';

export interface Evidence {
  round: RoundState;
  config: SubnetConfig;
  configHash: string;
  atBlock: number;
  /** The king, or the base student. */
  incumbent: Submission;
  /** Measured in full. */
  challengers: readonly Submission[];
}

/** JSON has no infinity; a t beyond this is certain either way. */
const MAX_T = 1e9;

/** @returns the events of the verdict. @throws Error when a model of the round was not measured: never judge on gaps */
export function judgeRound(evidence: Evidence): NewContestEvent[] {
  const { round, config, incumbent, challengers } = evidence;
  const at = { round: round.round, atBlock: evidence.atBlock };
  const composites = composeRound(evidence);
  const scored = (model: Submission): NewContestEvent => {
    const { axes, weighted, worst, worstAxis, quality } = composites.get(model.id)!;
    const perPrompt = klOf(round, model.id);
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

  const kingKl = klOf(round, incumbent.id);
  const baseKl = mean(klOf(round, BASE_ID));
  const entries: DuelEntry[] = [];
  for (const submission of challengers) {
    const klPerPrompt = klOf(round, submission.id);
    const kl = mean(klPerPrompt);
    const issue = checkKlLimits(kl, baseKl, config.kl);
    if (issue) {
      events.push({
        type: 'submission.rejected',
        data: { ...at, id: submission.id, ...entrant(submission), status: 'INVALID', issues: [issue] },
        key: submission.id,
      });
      continue;
    }
    const test = pairedTest(kingKl, klPerPrompt, config.duel);
    entries.push({ submission, klPerPrompt, kl, test, composite: composites.get(submission.id)! });
  }

  const kingQuality = composites.get(incumbent.id)!.quality;
  const decision = decideCrown(entries, kingQuality, config.crown, config.duel);
  for (const entry of entries) {
    const { id } = entry.submission;
    const gate = decision.gates.get(id)!;
    const winner = decision.crowned?.submission;
    const shown: CrownGate = decision.outranked.includes(id)
      ? { ...gate, passed: false, reasons: [`outranked in the same round by uid ${winner?.uid} (${winner?.repo})`] }
      : gate;
    const key = `${round.round}:${id}`;
    events.push({ type: 'duel.judged', data: { ...at, ...duel(evidence, entry, shown) }, key });
  }
  const crowned = decision.crowned?.submission.id ?? null;
  events.push({
    type: 'round.judged',
    data: { ...at, crowned, deferred: decision.deferred, configHash: evidence.configHash },
    key: String(round.round),
  });
  return events;
}

function duel(evidence: Evidence, entry: DuelEntry, crownGate: CrownGate): Omit<DuelJudged, 'round' | 'atBlock'> {
  const { round, incumbent, config } = evidence;
  const { submission, kl, klPerPrompt, test } = entry;
  const { n, meanDelta, se, t, p, lcb, win } = test;
  const kingKl = klOf(round, incumbent.id);
  const bootstrap = bootstrapInterval(pairedDeltas(kingKl, klPerPrompt), {
    resamples: config.duel.bootstrapResamples,
    seed: round.seedHash,
  });
  return {
    ...{ id: submission.id, ...entrant(submission), king: entrant(incumbent) },
    ...{ n, meanDelta, se, t: Math.max(-MAX_T, Math.min(MAX_T, t)), p, lcb, bootstrap },
    ...{ kingKl: mean(kingKl), challengerKl: kl, win, crownGate },
  };
}

/** Composites of the incumbent and the challengers, by id. */
function composeRound({ round, config, incumbent, challengers }: Evidence): Map<string, Composite> {
  const specs = config.axes.specs.map((spec) => ({ ...spec, relative: ['kl', 'on_policy_rkl'].includes(spec.name) }));
  const axesOf = (id: string) => {
    const axes = round.axes.get(id);
    if (!axes) throw new Error(`judgeRound: no axes of ${id} in round ${round.round}`);
    return axes;
  };
  const broken = brokenAxes(specs, axesOf(TEACHER_ID).axes, axesOf(BASE_ID).axes, config.axes.broken);
  const models = [incumbent, ...challengers];
  const rkls = models.map(({ id }) => axesOf(id).rkl).filter((rkl) => rkl !== null);
  const reference = { kingKl: mean(klOf(round, incumbent.id)), bestRkl: Math.min(...rkls) };
  return new Map(
    models.map(({ id }) => {
      const { axes, rkl, rklPrompts } = axesOf(id);
      const perPrompt = klOf(round, id);
      const own = { kl: mean(perPrompt), prompts: perPrompt.length, rkl: rkl ?? Number.POSITIVE_INFINITY, rklPrompts };
      return [id, composeAxes(specs, { ...axes, ...relativeAxes(own, reference) }, broken)];
    }),
  );
}

function klOf(round: RoundState, id: string): number[] {
  const part = round.kl.get(id);
  if (!part) throw new Error(`judgeRound: no KL of ${id} in round ${round.round}`);
  return part.perPrompt;
}
