/**
 * @file The contest log as the dashboard follows it: the contest's own projection, plus what only a viewer needs.
 *
 * Who is king and what became of a submission is decided by `Contest` of `@quasar/subnet`, the same code that the
 * validator decides from, so the page cannot disagree with it. Added here: when things happened, the running duel as
 * a curve, one line of text per event. The lists of this file are bounded. Left out: the clock and the chain.
 */
import type { StoredEvent } from '@quasar/store';
import { type Announcement, Announcements, Contest, type ContestEvents, type ContestEventType } from '@quasar/subnet';
import type { CurrentEval, FeedItem, King } from '../wire.ts';
import { feedLine } from './feed.ts';
import { kingRow } from './rows.ts';
import { evaluationAfter } from './running-evaluation.ts';

export const LIMITS = { duels: 100, submissions: 300, feed: 150, rounds: 50, reigns: 50, announcements: 100 };

export interface JudgedDuel {
  seq: number;
  atMs: number;
  data: ContestEvents['duel.judged'];
}

type Event<T extends ContestEventType> = StoredEvent<ContestEvents[T]>;

export class ContestLog {
  readonly contest = new Contest();
  lastEventMs: number | null = null;
  /** Events whose data could not be read: a damaged log, or another version of the program. */
  unreadable = 0;
  /** Oldest first, as all lists here. */
  readonly reigns: King[] = [];
  readonly duels: JudgedDuel[] = [];
  readonly feed: FeedItem[] = [];
  readonly announcements: Announcement[] = [];
  readonly #announcements = new Announcements();
  weightsMs = 0;
  evaluation: CurrentEval | null = null;

  get seq(): number {
    return this.contest.lastSeq;
  }

  get submissions(): Contest['submissions'] {
    return this.contest.submissions;
  }

  /** The king that reigns; null before the first and after one was removed. */
  get king(): King | null {
    const { king, revalidated } = this.contest;
    const reign = this.reigns.at(-1);
    if (!king || !reign) return null;
    if (!revalidated) return reign;
    const { round, prompts, kl, baseKl, quality } = revalidated;
    return { ...reign, last_measured: { round, prompts, kl, base_kl: baseKl, quality } };
  }

  /** Never throws: what cannot be read is counted and left out. */
  apply(event: StoredEvent): void {
    this.lastEventMs = event.atMs;
    try {
      this.contest.apply(event);
      this.#watch(event);
    } catch {
      this.unreadable++;
    }
  }

  #watch(event: StoredEvent): void {
    const { seq, atMs } = event;
    this.evaluation = evaluationAfter(event, this.evaluation, this.contest);
    const announcement = this.#announcements.take(event);
    if (announcement) push(this.announcements, announcement, LIMITS.announcements);
    const line = feedLine(event);
    if (line) push(this.feed, { seq, at_ms: atMs, type: event.type, ...line }, LIMITS.feed);
    if (event.type === 'duel.judged') {
      const { data } = event as Event<'duel.judged'>;
      push(this.duels, { seq, atMs, data }, LIMITS.duels);
    } else if (event.type === 'king.crowned') {
      const { data } = event as Event<'king.crowned'>;
      push(this.reigns, kingRow(data, atMs), LIMITS.reigns);
    } else if (event.type === 'weights.set') this.weightsMs = atMs;
  }
}

/** Keep the newest `limit` items of a list that grows at its end. */
function push<T>(list: T[], item: T, limit: number): void {
  list.push(item);
  if (list.length > limit) list.splice(0, list.length - limit);
}
