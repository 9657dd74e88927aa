/** @file What a submission is: one revision of one repository, put on chain by one hotkey at one block. */

export interface Submission {
  /** `${hotkey}:${revealedAtBlock}`: a uid can be recycled, a hotkey and a block cannot. */
  id: string;
  uid: number;
  /** ss58 address. */
  hotkey: string;
  /** `owner/name`. */
  repo: string;
  /** 40-hex commit. */
  revision: string;
  /** Block at which the chain revealed the commitment; null when a chain cannot tell. The only order that counts. */
  revealedAtBlock: number | null;
}

/** The incumbent when there is no king: the base student, which anybody has to beat first. */
export const BASE_UID = -1;
export const BASE_ID = 'base';
/** The teacher takes part in no duel, but its work shows in the log. */
export const TEACHER_UID = -2;
export const TEACHER_ID = 'teacher';

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

/** How a model is named in verdicts. */
export interface Entrant {
  uid: number;
  repo: string;
  revision: string;
}

export function entrant({ uid, repo, revision }: Entrant): Entrant {
  return { uid, repo, revision };
}

export function submissionId(hotkey: string, revealedAtBlock: number): string {
  return `${hotkey}:${revealedAtBlock}`;
}

/** Part before the slash: the hub account that rate limits count. */
export function ownerOf(repo: string): string {
  return repo.slice(0, repo.indexOf('/')).toLowerCase();
}

/** Earliest reveal first; equal blocks by lower uid, then hotkey, so that every validator gets the same order. */
export function byReveal(a: Submission, b: Submission): number {
  return (
    (a.revealedAtBlock ?? Number.MAX_SAFE_INTEGER) - (b.revealedAtBlock ?? Number.MAX_SAFE_INTEGER) ||
    a.uid - b.uid ||
    (a.hotkey < b.hotkey ? -1 : a.hotkey > b.hotkey ? 1 : 0)
  );
}
