/**
 * @file What is told to the public: each crown, each dethroning, each disqualification, once, from the event log.
 *
 * Names and reasons come from miners and their files: they are shortened, and hold no control characters.
 */
import type { StoredEvent } from '@quasar/store';
import type { KingCrowned, SubmissionRejected } from '../events.ts';
import { type Entrant, entrant } from '../rules/submission.ts';

export interface Announcement {
  /** Position of its event in the log: with the validator's hotkey, the name of the announcement. */
  seq: number;
  kind: 'crown' | 'dethroning' | 'disqualification';
  /** ISO 8601, by the validator's clock. */
  at: string;
  round: number;
  atBlock: number;
  /** Whom it is about. */
  model: Entrant;
  /** Of a crown: who reigned before. */
  previous: Entrant | null;
  /** Of the other two: COPY, REMOVED, INVALID, EVAL_ERROR. */
  label: string | null;
  /** One line without an end. */
  title: string;
  reason: string | null;
}

const MAX_REASON = 300;

/** Replaced or withdrawn by its own miner before anybody judged it: nobody was found to be at fault. */
const QUIET = new Set(['candidates.superseded']);

/** Reads a log from its beginning, event by event. */
export class Announcements {
  #kingId: string | null = null;

  /** What this event is to the public; null: nothing. */
  take(event: StoredEvent): Announcement | null {
    const at = { seq: event.seq, at: new Date(event.atMs).toISOString() };
    if (event.type === 'king.crowned') {
      const data = event.data as KingCrowned;
      this.#kingId = data.id;
      return { ...at, ...crown(data) };
    }
    if (event.type !== 'submission.rejected') return null;
    const data = event.data as SubmissionRejected;
    const wasKing = data.id === this.#kingId;
    if (wasKing) this.#kingId = null;
    else if (data.issues.every(({ code }) => QUIET.has(code))) return null;
    return { ...at, ...refusal(data, wasKing) };
  }
}

function crown(data: KingCrowned): Omit<Announcement, 'seq' | 'at'> {
  const { round, atBlock, previous, reign } = data;
  const over = previous ? `dethrones uid ${previous.uid} (${clean(previous.repo)})` : 'is the first king';
  return {
    ...{ kind: 'crown', round, atBlock, model: entrant(data), previous: previous && entrant(previous), label: null },
    title: `uid ${data.uid} (${clean(data.repo)}) ${over}, reign ${reign}`,
    reason: data.source === 'chain' ? 'the stake of the network names it' : null,
  };
}

function refusal(data: SubmissionRejected, wasKing: boolean): Omit<Announcement, 'seq' | 'at'> {
  const { round, atBlock, status, issues, uid, repo } = data;
  const who = repo === '' ? `uid ${uid}` : `uid ${uid} (${clean(repo)})`;
  return {
    ...{ kind: wasKing ? 'dethroning' : 'disqualification', round, atBlock, model: entrant(data), previous: null },
    label: status,
    title: wasKing ? `King ${who} lost the crown: ${status}` : `${who} is disqualified: ${status}`,
    reason: issues[0] ? clean(issues[0].message) : null,
  };
}

/** Without control characters, marks that turn text around, and length. */
function clean(text: string): string {
  const plain = text.replace(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return plain.length > MAX_REASON ? `${plain.slice(0, MAX_REASON)}...` : plain;
}
