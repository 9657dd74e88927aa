/**
 * @file One announcement to one webhook: a plain JSON form, and Discord's.
 *
 * The body is signed with the validator's hotkey (sr25519 over `<Bytes>` body `</Bytes>`, as wallets of Substrate sign
 * texts), so that whoever receives it can check on chain who said it, and no secret has to be shared. Whether a request
 * that broke in the middle arrived cannot be known: only those that surely did not are sent again.
 */
import { sleep } from '@quasar/base';
import type { Wallet } from '@quasar/chain';
import type { Announcement } from './announcement.ts';

export type WebhookForm = 'json' | 'discord';

export interface Webhook {
  url: string;
  form: WebhookForm;
}

export interface Delivery {
  delivered: boolean;
  /** Of the last try; null when there was no answer. */
  status: number | null;
  tries: number;
  error: string | null;
}

export interface DeliverOptions {
  wallet: Wallet;
  netuid: number;
  signal: AbortSignal;
  fetch?: typeof fetch | undefined;
}

const TIMEOUT_MS = 10_000;
const MAX_TRIES = 5;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

/** Nothing reached anybody. */
const UNSENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Discord names its webhooks so; everything else gets the plain form. */
export function webhookForm(url: string): WebhookForm {
  return /^https:\/\/(\w+\.)?discord(app)?\.com\/api\/(v\d+\/)?webhooks\//.test(url) ? 'discord' : 'json';
}

/** Never throws: an announcement that does not arrive is no reason to stop a validator. */
export async function deliver(
  announcement: Announcement,
  webhook: Webhook,
  options: DeliverOptions,
): Promise<Delivery> {
  const body = JSON.stringify(bodyOf(announcement, webhook.form, options));
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'quasar-validator',
    'x-quasar-hotkey': options.wallet.hotkey,
    'x-quasar-signature': await signatureOf(body, options.wallet),
  };
  for (let tries = 1; ; tries++) {
    const outcome = await post(webhook.url, { headers, body }, options);
    if (!outcome.again || tries >= MAX_TRIES || options.signal.aborted) {
      const { delivered, status, error } = outcome;
      return { delivered, status, tries, error };
    }
    await sleep(outcome.afterMs ?? FIRST_PAUSE_MS * 2 ** (tries - 1), options.signal);
  }
}

/** What a receiver checks `x-quasar-signature` (0x hex) against. */
export function signedBytes(body: string): Uint8Array {
  return new TextEncoder().encode(`<Bytes>${body}</Bytes>`);
}

async function signatureOf(body: string, wallet: Wallet): Promise<string> {
  return `0x${Buffer.from(await wallet.sign(signedBytes(body))).toString('hex')}`;
}

function bodyOf(announcement: Announcement, form: WebhookForm, { wallet, netuid }: DeliverOptions): unknown {
  if (form === 'json') return { version: 1, netuid, validator: wallet.hotkey, ...announcement };
  const { title, reason, round, atBlock, model, at, kind } = announcement;
  const colors = { crown: 0xf5b301, dethroning: 0xd64545, disqualification: 0x8a8f98 };
  return {
    username: 'Quasar',
    // Names of repositories may look like mentions.
    allowed_mentions: { parse: [] },
    embeds: [
      {
        title: unmarked(title).slice(0, 256),
        description: reason === null ? undefined : unmarked(reason).slice(0, 2000),
        color: colors[kind],
        timestamp: at,
        footer: { text: `netuid ${netuid}, round ${round}, block ${atBlock}, ${model.revision.slice(0, 8)}` },
      },
    ],
  };
}

/** Text that looks the same and formats nothing. */
function unmarked(text: string): string {
  return text.replace(/[\\`*_~|<>@#[\]()]/g, '\\$&');
}

interface Outcome {
  delivered: boolean;
  status: number | null;
  error: string | null;
  /** It surely did not arrive. */
  again: boolean;
  afterMs?: number | undefined;
}

async function post(
  url: string,
  request: { headers: Record<string, string>; body: string },
  { signal, fetch: send = fetch }: DeliverOptions,
): Promise<Outcome> {
  try {
    const response = await send(url, {
      ...{ method: 'POST', redirect: 'manual', ...request },
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    await response.body?.cancel();
    const { status, ok } = response;
    const retryAfterS = Number(response.headers.get('retry-after') ?? Number.NaN);
    const afterMs = Number.isFinite(retryAfterS) ? Math.min(retryAfterS * 1000, LONGEST_PAUSE_MS) : undefined;
    return { delivered: ok, status, error: ok ? null : `answered ${status}`, again: status === 429, afterMs };
  } catch (error) {
    const cause = (error as { cause?: { code?: string } }).cause?.code ?? '';
    const text = cause || (error as Error).message;
    return { delivered: false, status: null, error: text, again: UNSENT.has(cause) };
  }
}
