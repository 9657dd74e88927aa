/** @file One event as one line for people: the newest-first feed of the dashboard. */
import type { FeedItem } from '../wire.ts';
import type { EventData, EventType } from './events.ts';

type Line = Pick<FeedItem, 'tone' | 'text'>;

const shortRevision = (revision: string) => revision.slice(0, 8);
const signed = (value: number) => `${value >= 0 ? '+' : '−'}${Math.abs(value).toFixed(4)}`;
const percent = (share: number) => `${Math.round(share * 1000) / 10} %`;

const LINES: { [T in EventType]: (data: EventData<T>) => Line } = {
  'round.started': (d) => ({
    tone: 'info',
    text: `Round ${d.round} started at block ${d.startBlock} with ${d.candidates.length} ${d.candidates.length === 1 ? 'candidate' : 'candidates'}`,
  }),
  'submission.seen': (d) => ({
    tone: 'info',
    text: `uid ${d.uid} submitted ${d.repo}@${shortRevision(d.revision)}, revealed at block ${d.revealedAtBlock}`,
  }),
  'submission.rejected': (d) => ({
    tone: 'warn',
    text: `uid ${d.uid} refused as ${d.status}${d.issues[0] ? `: ${d.issues[0].message}` : ''}`,
  }),
  'evaluation.progress': (d) => ({ tone: 'info', text: `uid ${d.uid} ${d.phase} ${d.done}/${d.total}` }),
  'evaluation.scored': (d) => ({
    tone: 'info',
    text: `${d.uid < 0 ? 'Base student' : `uid ${d.uid}`} scored on ${Object.keys(d.axes).length} axes${d.quality == null ? '' : `, quality ${d.quality.toFixed(3)}`}`,
  }),
  'duel.judged': (d) => {
    const against = d.king.uid < 0 ? 'the base student' : `king uid ${d.king.uid}`;
    const numbers = `mean delta ${signed(d.meanDelta)} over ${d.n} prompts, p ${d.p < 0.0001 ? '< 0.0001' : d.p.toFixed(4)}`;
    if (!d.win) return { tone: 'bad', text: `uid ${d.uid} lost to ${against}: ${numbers}` };
    if (d.crownGate && !d.crownGate.passed)
      return { tone: 'warn', text: `uid ${d.uid} beat ${against} but missed the crown gate: ${numbers}` };
    return { tone: 'good', text: `uid ${d.uid} beat ${against}: ${numbers}` };
  },
  'king.crowned': (d) => ({
    tone: 'crown',
    text: `uid ${d.uid} crowned at block ${d.crownedAtBlock}, reign ${d.reign}: ${d.repo}@${shortRevision(d.revision)}`,
  }),
  'weights.set': (d) => ({
    tone: 'good',
    text: `Weights set at block ${d.setAtBlock}: ${d.weights.map((w) => `uid ${w.uid} ${percent(w.weight)}`).join(', ')}`,
  }),
  'round.finished': (d) => ({ tone: 'info', text: `Round ${d.round} finished` }),
  'evaluation.failed': (d) => ({
    tone: d.final ? 'bad' : 'warn',
    text: `Evaluation ${d.uid === undefined ? '' : `of uid ${d.uid} `}failed (attempt ${d.attempt}${d.final ? ', final' : ''}): ${d.error.message}`,
  }),
};

/** The line of a parsed event. */
export function feedLine<T extends EventType>(type: T, data: EventData<T>): Line {
  return LINES[type](data);
}
