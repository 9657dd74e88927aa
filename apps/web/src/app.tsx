/** @file The page: a header, the throne and what happens around it. */
import type { Dashboard } from '@quasar/server/wire';
import { clockTime } from './format.ts';
import { type LiveDashboard, useDashboard } from './live/use-dashboard.ts';
import { useNow } from './live/use-now.ts';
import { Chat } from './panels/chat.tsx';
import { Duels } from './panels/duels.tsx';
import { Evaluation } from './panels/evaluation.tsx';
import { Feed } from './panels/feed.tsx';
import { Header } from './panels/header.tsx';
import { KingCard } from './panels/king-card.tsx';
import { Submissions } from './panels/submissions.tsx';
import { WeightsPanel } from './panels/weights.tsx';

export function App() {
  const live = useDashboard();
  const nowMs = useNow() + live.clockSkewMs;
  return (
    <>
      <a className="skip-link" href="#main">
        Skip to the dashboard
      </a>
      <Header live={live} nowMs={nowMs} />
      <ConnectionBanner live={live} />
      <main id="main" className={live.connection === 'offline' ? 'page is-offline' : 'page'} tabIndex={-1}>
        {live.dashboard ? <Panels dashboard={live.dashboard} live={live} nowMs={nowMs} /> : <Waiting live={live} />}
      </main>
    </>
  );
}

function Panels({ dashboard, live, nowMs }: { dashboard: Dashboard; live: LiveDashboard; nowMs: number }) {
  const block = live.chain?.block ?? null;
  return (
    <>
      <div className="column column-main">
        <KingCard dashboard={dashboard} block={block} nowMs={nowMs} />
        <Duels duels={dashboard.history} nowMs={nowMs} />
        <Submissions submissions={dashboard.submissions} />
      </div>
      <div className="column column-side">
        <Evaluation dashboard={dashboard} block={block} nowMs={nowMs} />
        <Chat king={dashboard.king} />
        <WeightsPanel dashboard={dashboard} block={block} />
        <Feed dashboard={dashboard} nowMs={nowMs} />
      </div>
    </>
  );
}

function Waiting({ live }: { live: LiveDashboard }) {
  const isOffline = live.connection === 'offline';
  return (
    <div className="waiting" role="status" data-testid="waiting">
      <div className={isOffline ? 'waiting-mark is-off' : 'waiting-mark'} />
      <p className="empty-title">{isOffline ? 'The server does not answer' : 'Reading the contest log'}</p>
      <p>{isOffline ? 'It is tried again every two seconds. Is quasar still running?' : 'One moment.'}</p>
    </div>
  );
}

/** Says what is wrong and how old the picture is; nothing while all is well. */
function ConnectionBanner({ live }: { live: LiveDashboard }) {
  if (!live.dashboard || (live.connection !== 'offline' && live.connection !== 'stale')) return null;
  const since = live.lastHeardMs === null ? '' : ` What you see is from ${clockTime(live.lastHeardMs)}.`;
  return (
    <div className="banner" role="alert" data-testid="banner">
      {live.connection === 'offline' ? `Connection lost, trying again.${since}` : `The server has gone quiet.${since}`}
    </div>
  );
}
