/**
 * @file Follows the log and announces, each event at most once: it is claimed in the log before it is sent, so whoever is
 * killed in between never sends it again. A log that was there before the first announcement is history, and stays quiet.
 */
import { sleep } from '@quasar/base';
import type { Wallet } from '@quasar/chain';
import type { Store } from '@quasar/store';
import { Announcements } from './announcement.ts';
import { type Delivery, deliver, type Webhook } from './webhook.ts';

export interface AnnouncerOptions {
  store: Store;
  webhook: Webhook;
  /** Signs what is said. */
  wallet: Wallet;
  netuid: number;
  signal: AbortSignal;
  fetch?: typeof fetch | undefined;
  /** Lines for the operator; the address of the webhook is not in them. */
  log?: ((line: string, isWarning: boolean) => void) | undefined;
}

const CLAIMED = 'announcement.claimed';
const SENT = 'announcement.sent';
const PAUSE_MS = 5000;

/** Until `signal` aborts. Never throws: a validator does not stop because nobody listens. */
export async function runAnnouncer(options: AnnouncerOptions): Promise<void> {
  const { store, signal, log = () => {} } = options;
  let from: number | null = null;
  while (!signal.aborted) {
    try {
      from ??= startOf(store);
      await announceAfter(from, options);
    } catch (error) {
      // The log cannot be written (a full disk, say): nothing is claimed, so nothing is sent.
      log(`announcements wait: ${error}`, true);
      await sleep(PAUSE_MS, signal);
    }
  }
}

/** The newest claim, or the end of a log without any. */
function startOf(store: Store): number {
  const claims = store.events({ types: [CLAIMED] });
  return claims.length > 0 ? Math.max(...claims.map(({ key }) => Number(key))) : store.lastSeq();
}

async function announceAfter(from: number, options: AnnouncerOptions): Promise<void> {
  const { store, webhook, signal, log = () => {} } = options;
  const announcements = new Announcements();
  for await (const event of store.follow({ afterSeq: 0, signal })) {
    const announcement = announcements.take(event);
    if (announcement === null || event.seq <= from) continue;
    const key = String(event.seq);
    const { kind, title } = announcement;
    if (store.append(CLAIMED, { seq: event.seq, kind }, { key }).duplicate) continue;
    const delivery: Delivery = await deliver(announcement, webhook, options);
    store.append(SENT, { seq: event.seq, ...delivery }, { key });
    if (delivery.delivered) log(`announced: ${title}`, false);
    else log(`not announced (${delivery.error} after ${delivery.tries} tries): ${title}`, true);
  }
}
