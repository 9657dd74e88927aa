/** @file One event as one line for people: the newest-first feed of the dashboard. */
import type { StoredEvent } from '@quasar/store';
import type { ContestEvents, ContestEventType } from '@quasar/subnet';
import { cleanText } from '../text.ts';
import type { FeedItem } from '../wire.ts';

type Line = Pick<FeedItem, 'tone' | 'text'>;

const shortRevision = (revision: string) => revision.slice(0, 8);
const signed = (value: number) => `${value >= 0 ? '+' : '−'}${Math.abs(value).toFixed(4)}`;
const percent = (share: number) => `${Math.round(share * 1000) / 10}\u00a0%`;
const plural = (count: number, one: string) => `${count} ${count === 1 ? one : `${one}s`}`;
const nameOf = (uid: number) => (uid === -2 ? 'Teacher' : uid === -1 ? 'Base student' : `uid ${uid}`);

const OUTCOMES: Record<string, string> = {
  crowned: 'a new king was crowned',
  king_stays: 'the king stays',
  king_removed: 'the king lost the crown',
  no_challengers: 'nobody challenged',
  no_verdict: 'it could not be judged, the king stays',
};

/** Event types without an entry are steps on the way: they show elsewhere on the page or not at all. */
const LINES: { [T in ContestEventType]?: (data: ContestEvents[T]) => Line } = {
  'round.started': (d) => ({
    tone: 'info',
    text: `Round ${d.round} started at block ${d.startBlock} ${
      d.candidates.length === 0
        ? 'without candidates: the king is measured again'
        : `with ${plural(d.candidates.length, 'candidate')}`
    }`,
  }),
  'submission.seen': (d) => ({
    tone: 'info',
    text: `uid ${d.uid} submitted ${d.repo}@${shortRevision(d.revision)}, revealed at block ${d.revealedAtBlock}`,
  }),
  'submission.rejected': (d) => ({
    tone: 'warn',
    text: `uid ${d.uid} refused as ${d.status}${d.issues[0] ? `: ${d.issues[0].message}` : ''}`,
  }),
  'evaluation.scored': (d) => ({
    tone: 'info',
    text: `${nameOf(d.uid)} scored: quality ${d.quality.toFixed(3)}, worst axis ${d.worst.toFixed(3)}`,
  }),
  'evaluation.failed': (d) => ({
    tone: d.final ? 'bad' : 'warn',
    text: `Evaluation of uid ${d.uid} failed (attempt ${d.attempt}${d.final ? ', final' : ''}): ${d.error.message}`,
  }),
  'duel.judged': (d) => {
    const against = d.king.uid < 0 ? 'the base student' : `king uid ${d.king.uid}`;
    const planned = d.sequential?.prompts ?? d.n;
    const prompts = d.n < planned ? `${d.n} of ${planned}` : `${d.n}`;
    const p = d.p < 0.0001 ? '< 0.0001' : d.p.toFixed(4);
    const numbers = `mean delta ${signed(d.meanDelta)} over ${prompts} prompts, p ${p}`;
    if (!d.win) return { tone: 'bad', text: `uid ${d.uid} lost to ${against}: ${numbers}` };
    if (!d.crownGate.passed)
      return { tone: 'warn', text: `uid ${d.uid} beat ${against} but missed the crown gate: ${numbers}` };
    return { tone: 'good', text: `uid ${d.uid} beat ${against}: ${numbers}` };
  },
  'king.crowned': (d) => ({
    tone: 'crown',
    text: `uid ${d.uid} crowned at block ${d.crownedAtBlock}, reign ${d.reign}: ${d.repo}@${shortRevision(d.revision)}`,
  }),
  'king.revalidated': (d) => {
    const numbers = `KL ${d.kl.toFixed(4)} over ${d.prompts} prompts (base ${d.baseKl.toFixed(4)}), quality ${d.quality.toFixed(3)}`;
    if (d.issue) return { tone: 'bad', text: `King uid ${d.uid} does not stand: ${d.issue.message}` };
    return { tone: 'good', text: `King uid ${d.uid} measured again and stands: ${numbers}` };
  },
  'weights.set': (d) => ({
    tone: 'good',
    text: `Weights set at block ${d.setAtBlock}: ${d.weights.map((w) => `uid ${w.uid} ${percent(w.weight)}`).join(', ')}`,
  }),
  'round.finished': (d) => ({
    tone: 'info',
    text: `Round ${d.round} finished: ${OUTCOMES[d.outcome] ?? d.outcome}`,
  }),
};

/** The line of an event; null for one that has none. */
export function feedLine(event: StoredEvent): Line | null {
  if (!Object.hasOwn(LINES, event.type)) return null;
  const line = LINES[event.type as ContestEventType] as (data: unknown) => Line;
  const { tone, text } = line(event.data);
  return { tone, text: cleanText(text, 400) };
}
