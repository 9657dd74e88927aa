/** @file The top line: name, block of the chain, state of the line, theme. */
import { useState } from 'react';
import { ago, count } from '../format.ts';
import type { LiveDashboard } from '../live/use-dashboard.ts';

export function Header({ live, nowMs }: { live: LiveDashboard; nowMs: number }) {
  return (
    <header className="top">
      <div className="brand">
        <svg viewBox="0 0 32 32" aria-hidden="true" className="brand-mark">
          <ellipse cx="16" cy="16" rx="13" ry="5" transform="rotate(-24 16 16)" />
          <circle cx="16" cy="16" r="5" />
        </svg>
        <h1>Quasar</h1>
        <span className="brand-net">subnet 24</span>
      </div>
      <div className="top-facts">
        <ChainBlock live={live} />
        <LineState live={live} nowMs={nowMs} />
        <ThemeSwitch />
      </div>
    </header>
  );
}

function ChainBlock({ live }: { live: LiveDashboard }) {
  const { chain } = live;
  if (!chain) return null;
  const seconds = chain.block_time_ms === null ? '' : `, one every ${chain.block_time_ms / 1000} s`;
  return (
    <div
      className={chain.online ? 'fact' : 'fact is-off'}
      data-testid="chain-block"
      title={chain.online ? `${chain.block_hash ?? ''}${seconds}` : (chain.error ?? 'The chain does not answer.')}
    >
      <span className="fact-label">{chain.online ? 'Block' : 'Chain away'}</span>
      <span className="fact-value" key={chain.block}>
        {chain.block === null ? '…' : count(chain.block)}
      </span>
    </div>
  );
}

const LINE_NAMES = { connecting: 'Connecting', live: 'Live', stale: 'Quiet', offline: 'Offline' } as const;

function LineState({ live, nowMs }: { live: LiveDashboard; nowMs: number }) {
  const lastMs = live.dashboard?.last_event_ms ?? null;
  return (
    <div className={`line line-${live.connection}`} data-testid="connection" data-state={live.connection}>
      <span className="line-dot" aria-hidden="true" />
      <span>{LINE_NAMES[live.connection]}</span>
      <span className="line-age">{lastMs === null ? 'no events yet' : `last event ${ago(lastMs, nowMs)}`}</span>
    </div>
  );
}

function ThemeSwitch() {
  const [theme, setTheme] = useState(() => document.documentElement.dataset.theme ?? 'dark');
  const other = theme === 'dark' ? 'light' : 'dark';
  const toggle = () => {
    document.documentElement.dataset.theme = other;
    try {
      localStorage.setItem('quasar.theme', other);
    } catch {
      // A browser without storage still switches for this visit.
    }
    setTheme(other);
  };
  return (
    <button
      type="button"
      className="icon-button"
      onClick={toggle}
      data-testid="theme"
      aria-label={`Use the ${other} theme`}
    >
      <svg viewBox="0 0 24 24" aria-hidden="true">
        {theme === 'dark' ? (
          <path d="M12 3v2m0 14v2M3 12h2m14 0h2M5.6 5.6 7 7m10 10 1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8Z" />
        ) : (
          <path d="M20 14.5A8.5 8.5 0 1 1 9.5 4 7 7 0 0 0 20 14.5Z" />
        )}
      </svg>
    </button>
  );
}
