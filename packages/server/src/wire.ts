/**
 * @file The dashboard JSON, as it travels: types only, imported by the page as well.
 *
 * Keys follow the public contest dashboard (subnet.md §16): `king`, `consensus_king`, `state_king_uid`, `status`,
 * `current_eval`, `submissions`, `validators`, `history`, `events`. Added: `chain`, `weights`, `reigns`, `rounds`,
 * and `seq`, the number of the last event that the answer contains. Left out: `market` (no price source).
 * Block numbers are chain blocks; `*_ms` are Unix times in milliseconds; a KL is in nats per token, lower is better.
 */

export interface Dashboard {
  seq: number;
  /** When the last event was written; null for an empty log. */
  last_event_ms: number | null;
  generated_ms: number;
  chain: ChainView | null;
  king: King | null;
  consensus_king: ConsensusKing | null;
  state_king_uid: number | null;
  status: Status;
  current_eval: CurrentEval | null;
  submissions: Submission[];
  validators: ValidatorRow[];
  weights: Weights | null;
  /** Newest first. */
  history: Duel[];
  /** Newest first; the first one is the king that reigns. */
  reigns: King[];
  /** Newest first. */
  rounds: Round[];
  /** Newest first. */
  events: FeedItem[];
}

export interface ChainView {
  online: boolean;
  block: number | null;
  block_hash: string | null;
  /** When this block was first seen here. */
  seen_ms: number | null;
  block_time_ms: number | null;
  /** Why the chain does not answer; null while it does. */
  error: string | null;
}

export interface King {
  uid: number;
  hotkey: string;
  hf_repo: string;
  king_revision: string;
  reign_number: number;
  crowned_at_block: number;
  crowned_ms: number;
  /** `duel`: this validator's verdict; `chain`: the stake of other validators named it first. */
  source: 'duel' | 'chain';
  /** The one who was dethroned; null for the first king. */
  previous: { uid: number; hf_repo: string; king_revision: string } | null;
  /** When nobody challenged it: the newest of such measurements, of the reigning king only. */
  last_measured: { round: number; prompts: number; kl: number; base_kl: number; quality: number } | null;
}

/** The uid that the weights on chain point to, which may lag behind the local winner. */
export interface ConsensusKing {
  uid: number;
  hf_repo: string | null;
  king_revision: string | null;
  /** Share of the stake-weighted vote, 0..1. */
  support_fraction: number;
  /** Share of the miners' emission that the last epoch paid it, 0..1. */
  incentive_fraction: number;
  weights_block: number;
}

export interface Status {
  mode: 'evaluating' | 'activation_wait' | 'round_wait' | 'active' | 'idle';
  label: string;
  detail: string;
  round: number | null;
  start_block: number | null;
  cutoff_block: number | null;
  activation_block: number | null;
}

export interface CurrentEval {
  /** Of the submission; `teacher` and `base` for those two. */
  id: string;
  /** -1 for the base student, -2 for the teacher. */
  uid: number;
  role: 'teacher' | 'base' | 'king' | 'challenger';
  challenger_repo: string;
  revision: string | null;
  hotkey: string | null;
  phase: string;
  phase_label: string;
  progress: number;
  total: number;
  /** Running mean of king KL minus challenger KL: above zero the challenger is closer to the teacher. */
  mu_hat: number | null;
  avg_king_loss: number | null;
  avg_challenger_loss: number | null;
  /** `[progress, mu_hat]` while it ran, at most 160 points. */
  trace: [number, number][];
  /** Prompts that the trace will have in the end. */
  trace_total: number;
  started_ms: number;
  updated_ms: number;
}

export type SubmissionStatus =
  | 'king'
  | 'dethroned'
  | 'lost'
  | 'COPY'
  | 'DEFERRED'
  | 'REMOVED'
  | 'INVALID'
  | 'EVAL_ERROR'
  | 'pending'
  | 'stale';

export interface Note {
  code: string;
  path: string | null;
  message: string;
  hint: string | null;
}

export interface Submission {
  id: string;
  uid: number;
  hotkey: string;
  hf_repo: string;
  revision: string;
  /** Block at which the chain revealed it. */
  block: number;
  status: SubmissionStatus;
  /** Why: issues of a rejection, crown gate reasons, the last error. */
  notes: Note[];
  /** For COPY and DEFERRED: whose work it repeats, or may. */
  original: { uid: number; hf_repo: string; revision: string; block: number | null } | null;
}

export interface Axis {
  value: number;
  n: number;
  /** Left out of `worst` and of the crown quality: the teacher itself fails on it. */
  broken: boolean;
}

export interface Composite {
  axes: Record<string, Axis>;
  weighted: number;
  worst: number;
  quality: number;
}

export interface Duel {
  seq: number;
  timestamp_ms: number;
  round: number;
  uid: number;
  challenger_repo: string;
  revision: string;
  king: { uid: number; hf_repo: string; revision: string };
  accepted: boolean;
  verdict: 'win' | 'no_win' | 'gate_failed';
  paired_prompts: number;
  /** Mean of king KL minus challenger KL, and its standard error. */
  mu_hat: number;
  se: number;
  t_stat: number;
  p_value: number;
  /** mu_hat - 1.96 se. */
  lcb: number;
  /** 95 % bootstrap interval of the mean: evidence, not part of the verdict. */
  bootstrap_low: number | null;
  bootstrap_high: number | null;
  avg_king_loss: number;
  avg_challenger_loss: number;
  /** What ended the duel; null for one of an older log. */
  ended_by: 'win' | 'futility' | 'last_look' | null;
  /** Prompts of a whole duel, of which `paired_prompts` were needed. */
  planned_prompts: number | null;
  /** Axes on which the challenger is better, worse, alike; shown, not part of the verdict. */
  pareto: { wins: string[]; losses: string[]; ties: string[]; dominates: boolean } | null;
  composite: Composite | null;
  king_composite: Composite | null;
  crown_quality: number;
  crown_king_quality: number;
  crown_passed: boolean;
  crown_reasons: string[];
}

export interface ValidatorRow {
  uid: number;
  hotkey: string;
  stake: number;
  validator_permit: boolean;
  last_update_block: number;
}

export interface Weights {
  set_at_block: number;
  set_ms: number;
  targets: { uid: number; weight: number; is_king: boolean }[];
}

export interface Round {
  round: number;
  start_block: number;
  cutoff_block: number;
  seed_block: number;
  seed_hash: string;
  activation_block: number;
  candidates: number;
  started_ms: number;
  finished_ms: number | null;
  outcome: string | null;
}

export interface FeedItem {
  seq: number;
  at_ms: number;
  type: string;
  tone: 'crown' | 'good' | 'bad' | 'warn' | 'info';
  text: string;
}
