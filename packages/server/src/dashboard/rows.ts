/**
 * @file From the words of the contest to the words of the wire: one function per row of the dashboard JSON.
 * Text that strangers wrote is made harmless here.
 */
import type { Issue } from '@quasar/base';
import type { ContestEvents, RoundState, SubmissionState } from '@quasar/subnet';
import { cleanText } from '../text.ts';
import type { Composite, Duel, King, Note, Round, Submission } from '../wire.ts';
import type { JudgedDuel } from './contest-log.ts';

interface ModelName {
  uid: number;
  repo: string;
  revision: string;
}

export function kingRow(crown: ContestEvents['king.crowned'], atMs: number): King {
  const { uid, hotkey, repo, revision, reign, crownedAtBlock, previous, source } = crown;
  return {
    uid,
    hotkey: cleanText(hotkey),
    hf_repo: cleanText(repo),
    king_revision: cleanText(revision),
    reign_number: reign,
    crowned_at_block: crownedAtBlock,
    crowned_ms: atMs,
    source,
    previous: previous && {
      uid: previous.uid,
      hf_repo: cleanText(previous.repo),
      king_revision: cleanText(previous.revision),
    },
    last_measured: null,
  };
}

export function submissionRow(state: SubmissionState): Submission {
  const { original } = state;
  return {
    id: state.id,
    uid: state.uid,
    hotkey: cleanText(state.hotkey),
    ...modelRow(state),
    block: state.revealedAtBlock,
    status: state.status,
    notes: state.issues.map(noteRow),
    original: original && { uid: original.uid, ...modelRow(original), block: original.revealedAtBlock },
  };
}

/** @param round the round it was judged in, if it is still known */
export function duelRow({ seq, atMs, data }: JudgedDuel, round: RoundState | undefined): Duel {
  const { crownGate, king } = data;
  const accepted = data.win && crownGate.passed;
  const scores = round?.scored;
  return {
    seq,
    timestamp_ms: atMs,
    round: data.round,
    uid: data.uid,
    challenger_repo: cleanText(data.repo),
    revision: cleanText(data.revision),
    king: { uid: king.uid, ...modelRow(king) },
    accepted,
    verdict: accepted ? 'win' : data.win ? 'gate_failed' : 'no_win',
    paired_prompts: data.n,
    mu_hat: data.meanDelta,
    se: data.se,
    t_stat: data.t,
    p_value: data.p,
    lcb: data.lcb,
    bootstrap_low: data.bootstrap?.low ?? null,
    bootstrap_high: data.bootstrap?.high ?? null,
    avg_king_loss: data.kingKl,
    avg_challenger_loss: data.challengerKl,
    ended_by: data.sequential?.reason ?? null,
    planned_prompts: data.sequential?.prompts ?? null,
    pareto: data.pareto ?? null,
    composite: compositeRow(scores?.get(data.id)),
    king_composite: compositeRow(round && scores?.get(round.incumbent)),
    crown_quality: crownGate.quality,
    crown_king_quality: crownGate.kingQuality,
    crown_passed: crownGate.passed,
    crown_reasons: crownGate.reasons.map((reason) => cleanText(reason)),
  };
}

export function roundRow(round: RoundState): Round {
  return {
    round: round.round,
    start_block: round.startBlock,
    cutoff_block: round.cutoffBlock,
    seed_block: round.seedBlock,
    seed_hash: round.seedHash,
    activation_block: round.activationBlock,
    candidates: round.candidates.length,
    started_ms: round.startedAtMs,
    finished_ms: round.finishedAtMs,
    outcome: round.outcome,
  };
}

function compositeRow(scored: ContestEvents['evaluation.scored'] | undefined): Composite | null {
  if (!scored) return null;
  const { axes, weighted, worst, quality } = scored;
  return { axes, weighted, worst, quality };
}

function modelRow({ repo, revision }: ModelName): { hf_repo: string; revision: string } {
  return { hf_repo: cleanText(repo), revision: cleanText(revision) };
}

function noteRow({ code, path, message, hint }: Issue): Note {
  return {
    code: cleanText(code, 80),
    path: path === undefined ? null : cleanText(path),
    message: cleanText(message, 600),
    hint: hint === undefined ? null : cleanText(hint, 600),
  };
}
