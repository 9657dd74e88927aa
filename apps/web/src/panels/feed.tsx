/** @file What happened, newest first: events, or rounds. */
import type { Dashboard, FeedItem, Round } from '@quasar/server/wire';
import { useState } from 'react';
import { ago, clockTime, count, outcomeText } from '../format.ts';
import { Empty, Panel } from '../parts/panel.tsx';

const SHOWN = 60;
const VIEWS = ['Events', 'Rounds'] as const;

export function Feed({ dashboard, nowMs }: { dashboard: Dashboard; nowMs: number }) {
  const [view, setView] = useState<(typeof VIEWS)[number]>('Events');
  return (
    <Panel
      name="feed"
      title="Log"
      aside={
        <fieldset className="chips">
          <legend className="hidden">Show</legend>
          {VIEWS.map((name) => (
            <button key={name} type="button" aria-pressed={name === view} onClick={() => setView(name)}>
              {name}
            </button>
          ))}
        </fieldset>
      }
    >
      {view === 'Events' ? (
        <Events items={dashboard.events} nowMs={nowMs} />
      ) : (
        <Rounds rounds={dashboard.rounds} nowMs={nowMs} />
      )}
    </Panel>
  );
}

/** Weights are set again and again while nothing else happens: the newest stands for all of a row. */
function folded(items: FeedItem[]): { item: FeedItem; times: number }[] {
  const rows: { item: FeedItem; times: number }[] = [];
  for (const item of items) {
    const last = rows.at(-1);
    if (item.type === 'weights.set' && last?.item.type === item.type) last.times++;
    else rows.push({ item, times: 1 });
  }
  return rows;
}

function Events({ items, nowMs }: { items: FeedItem[]; nowMs: number }) {
  if (items.length === 0) return <Empty title="Nothing yet">The log of the contest is empty.</Empty>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable list must be reachable by keyboard
    <ol className="feed scroll" tabIndex={0} aria-label="Events, newest first">
      {folded(items.slice(0, SHOWN)).map(({ item, times }) => (
        <li key={item.seq} className={`feed-item tone-${item.tone}`} data-testid="event">
          <span className="feed-text">
            {item.text}
            {times > 1 && ` (${times} times in a row)`}
          </span>
          <time dateTime={new Date(item.at_ms).toISOString()} title={`${clockTime(item.at_ms)}, event ${item.seq}`}>
            {ago(item.at_ms, nowMs)}
          </time>
        </li>
      ))}
    </ol>
  );
}

function Rounds({ rounds, nowMs }: { rounds: Round[]; nowMs: number }) {
  if (rounds.length === 0) return <Empty title="No round yet">The first one starts with the first submission.</Empty>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable list must be reachable by keyboard
    <ol className="feed scroll" tabIndex={0} aria-label="Rounds, newest first">
      {rounds.map((round) => (
        <li
          key={`${round.round} ${round.started_ms}`}
          className={`feed-item tone-${round.finished_ms === null ? 'info' : 'good'}`}
        >
          <span className="feed-text">
            <b>Round {round.round}</b> from block {count(round.start_block)}, {round.candidates}{' '}
            {round.candidates === 1 ? 'candidate' : 'candidates'}
            {round.outcome && `: ${outcomeText(round.outcome)}`}
          </span>
          <time dateTime={new Date(round.started_ms).toISOString()}>
            {round.finished_ms === null ? 'running' : ago(round.finished_ms, nowMs)}
          </time>
        </li>
      ))}
    </ol>
  );
}
