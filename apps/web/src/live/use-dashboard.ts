/**
 * @file The dashboard, kept live: one snapshot, then a new one whenever the event stream says that the log grew.
 *
 * Snapshots are whole and cheap, so nothing is patched by hand and the page can never drift from the server.
 * A burst of events costs one fetch per `REFRESH_MS`.
 */
import type { ChainView, Dashboard } from '@quasar/server/wire';
import { useEffect, useState } from 'react';

/**
 * `live`: heartbeats arrive. `stale`: the line is open and silent. `offline`: it is cut, and is being tried again.
 */
export type Connection = 'connecting' | 'live' | 'stale' | 'offline';

export interface LiveDashboard {
  dashboard: Dashboard | null;
  connection: Connection;
  /** Fresher than the snapshot's: heartbeats bring it. */
  chain: ChainView | null;
  /** Server clock minus ours: ages are shown by the clock that stamped the events. */
  clockSkewMs: number;
  /** When the page last heard anything, by our clock. */
  lastHeardMs: number | null;
}

const REFRESH_MS = 300;
const STALE_AFTER_MS = 15_000;
const RECONNECT_MS = 2_000;

interface Heartbeat {
  seq: number;
  now_ms: number;
  chain: ChainView | null;
}

export function useDashboard(): LiveDashboard {
  const [live, setLive] = useState<LiveDashboard>({
    dashboard: null,
    connection: 'connecting',
    chain: null,
    clockSkewMs: 0,
    lastHeardMs: null,
  });

  useEffect(() => {
    const change = (part: Partial<LiveDashboard>) => setLive((before) => ({ ...before, ...part }));
    return follow(change);
  }, []);

  return live;
}

/** Runs until the returned function is called. */
function follow(change: (part: Partial<LiveDashboard>) => void): () => void {
  const stop = new AbortController();
  let source: EventSource | null = null;
  let refreshTimer: ReturnType<typeof setTimeout> | null = null;
  let reconnectTimer: ReturnType<typeof setTimeout> | null = null;
  let staleTimer: ReturnType<typeof setTimeout> | null = null;
  let shownSeq = -1;
  let isFetching = false;
  let isDirty = false;

  const heard = (part: Partial<LiveDashboard> = {}) => {
    change({ connection: 'live', lastHeardMs: Date.now(), ...part });
    if (staleTimer) clearTimeout(staleTimer);
    staleTimer = setTimeout(() => change({ connection: 'stale' }), STALE_AFTER_MS);
  };

  const lost = () => {
    if (stop.signal.aborted) return;
    change({ connection: 'offline' });
    if (staleTimer) clearTimeout(staleTimer);
    source?.close();
    source = null;
    reconnectTimer ??= setTimeout(() => {
      reconnectTimer = null;
      void start();
    }, RECONNECT_MS);
  };

  const fetchSnapshot = async () => {
    const response = await fetch('/api/dashboard.json', { cache: 'no-store', signal: stop.signal });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const dashboard = (await response.json()) as Dashboard;
    shownSeq = dashboard.seq;
    change({ dashboard, chain: dashboard.chain, clockSkewMs: dashboard.generated_ms - Date.now() });
    return dashboard;
  };

  const refresh = () => {
    isDirty = true;
    if (isFetching || refreshTimer) return;
    refreshTimer = setTimeout(async () => {
      refreshTimer = null;
      isDirty = false;
      isFetching = true;
      try {
        await fetchSnapshot();
      } catch {
        lost();
      } finally {
        isFetching = false;
      }
      if (isDirty) refresh();
    }, REFRESH_MS);
  };

  const start = async () => {
    try {
      const { seq } = await fetchSnapshot();
      if (stop.signal.aborted) return;
      source = new EventSource(`/api/events?after=${seq}`);
      source.onmessage = () => {
        heard();
        refresh();
      };
      source.addEventListener('heartbeat', (event) => {
        const beat = JSON.parse(event.data) as Heartbeat;
        heard({ chain: beat.chain, clockSkewMs: beat.now_ms - Date.now() });
        if (beat.seq !== shownSeq) refresh();
      });
      source.onerror = lost;
    } catch {
      lost();
    }
  };

  void start();
  return () => {
    stop.abort();
    source?.close();
    for (const timer of [refreshTimer, reconnectTimer, staleTimer]) if (timer) clearTimeout(timer);
  };
}
