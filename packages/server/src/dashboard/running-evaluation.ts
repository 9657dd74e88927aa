/** @file The evaluation that runs right now, followed from progress event to progress event. */
import type { StoredEvent } from '@quasar/store';
import type { Contest, ContestEvents } from '@quasar/subnet';
import { cleanText } from '../text.ts';
import type { CurrentEval } from '../wire.ts';

export const TRACE_POINTS = 160;

/** What each phase does, in words. */
const PHASES: Record<string, string> = {
  traces: 'The teacher writes the reference answers',
  kl: 'KL to the teacher, prompt by prompt',
  axes: 'Answering the tasks of the axes',
};

/** After one of these nothing runs until the next progress event. */
const ENDS = new Set(['round.started', 'duel.judged', 'round.judged', 'round.finished']);
/** These end the evaluation of the submission they name. */
const ENDS_OWN = new Set(['evaluation.failed', 'submission.rejected']);

/** The running evaluation after `event`; `contest` has seen the event already. */
export function evaluationAfter(event: StoredEvent, before: CurrentEval | null, contest: Contest): CurrentEval | null {
  if (event.type === 'evaluation.progress')
    return progressed(event as StoredEvent<ContestEvents['evaluation.progress']>, before, contest);
  if (ENDS.has(event.type)) return null;
  const isOwn = ENDS_OWN.has(event.type) && before?.id === (event.data as { id: string }).id;
  return isOwn ? null : before;
}

function progressed(
  { data, atMs }: StoredEvent<ContestEvents['evaluation.progress']>,
  last: CurrentEval | null,
  contest: Contest,
): CurrentEval | null {
  if (data.phase === 'stopped') return null;
  const before = last?.id === data.id ? last : null;
  const submission = contest.submissions.get(data.id);
  return {
    id: data.id,
    uid: data.uid,
    role: roleOf(data, contest),
    challenger_repo: cleanText(data.repo),
    revision: submission?.revision ?? null,
    hotkey: submission?.hotkey ?? null,
    phase: data.phase,
    phase_label: PHASES[data.phase] ?? cleanText(data.phase),
    progress: data.done,
    total: data.total,
    mu_hat: data.meanDelta ?? before?.mu_hat ?? null,
    avg_king_loss: data.kingKl ?? before?.avg_king_loss ?? null,
    avg_challenger_loss: data.challengerKl ?? before?.avg_challenger_loss ?? null,
    trace: extendTrace(before?.trace ?? [], data.done, data.meanDelta ?? null),
    trace_total: data.meanDelta === undefined ? (before?.trace_total ?? data.total) : data.total,
    started_ms: before?.started_ms ?? atMs,
    updated_ms: atMs,
  };
}

/** The teacher and the base student have no submission; of the others, one may reign. */
function roleOf({ id, uid }: ContestEvents['evaluation.progress'], contest: Contest): CurrentEval['role'] {
  if (uid === -2) return 'teacher';
  if (uid === -1) return 'base';
  return contest.king?.id === id ? 'king' : 'challenger';
}

/** Appends a point; restarts when progress goes back (another round); halves the resolution when it grows too long. */
function extendTrace(trace: [number, number][], done: number, meanDelta: number | null): [number, number][] {
  if (meanDelta === null) return trace;
  const last = trace.at(-1);
  const kept: [number, number][] = last && done < last[0] ? [] : trace;
  const next: [number, number][] = [...kept, [done, meanDelta]];
  return next.length <= TRACE_POINTS ? next : next.filter((_, index) => index % 2 === 1);
}
