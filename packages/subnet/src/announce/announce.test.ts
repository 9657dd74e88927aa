import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { verifySignature, walletFromSeed } from '@quasar/chain';
import { openStore, type Store } from '@quasar/store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runAnnouncer } from './announcer.ts';
import { signedBytes, webhookForm } from './webhook.ts';

const wallet = walletFromSeed(new Uint8Array(32).fill(7));
const at = { round: 3, atBlock: 120 };
const ann = { id: 'ann:1', uid: 4, hotkey: 'ann', repo: 'ann/model', revision: 'a'.repeat(40) };
const bob = { id: 'bob:2', uid: 5, hotkey: 'bob', repo: 'bob/model', revision: 'b'.repeat(40) };

interface Request {
  headers: IncomingHttpHeaders;
  text: string;
}

let store: Store;
let server: Server;
let requests: Request[];
let answers: ((request: Request) => { status: number; headers?: Record<string, string> } | 'break')[];
let stop: AbortController;
const running: Promise<void>[] = [];

beforeEach(async () => {
  store = openStore({ path: ':memory:' });
  requests = [];
  answers = [];
  stop = new AbortController();
  server = createServer((incoming, response) => {
    let text = '';
    incoming.on('data', (chunk) => {
      text += chunk;
    });
    incoming.on('end', () => {
      const request = { headers: incoming.headers, text };
      requests.push(request);
      const answer = answers.shift()?.(request) ?? { status: 204 };
      if (answer === 'break') incoming.socket.destroy();
      else response.writeHead(answer.status, answer.headers).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  stop.abort();
  await Promise.all(running.splice(0));
  store.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function start(form: 'json' | 'discord' = 'json'): void {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  running.push(runAnnouncer({ store, webhook: { url, form }, wallet, netuid: 24, signal: stop.signal }));
}

async function restart(): Promise<void> {
  stop.abort();
  await Promise.all(running.splice(0));
  stop = new AbortController();
  start();
}

const seen = (one: typeof ann) =>
  store.append('submission.seen', { ...at, ...one, revealedAtBlock: 100 }, { key: one.id });
const crown = (one: typeof ann, previous: typeof ann | null) =>
  store.append('king.crowned', {
    ...{ ...at, ...one, crownedAtBlock: 120, reign: previous ? 2 : 1, previous, source: 'duel' },
  });
const refuse = (one: typeof ann, status: string, code: string, message: string) =>
  store.append('submission.rejected', { ...at, ...one, status, issues: [{ code, message }] });
const settled = async (count: number) => {
  while (store.events({ types: ['announcement.sent'] }).length < count)
    await new Promise((resolve) => setTimeout(resolve, 10));
};
const told = () => requests.map(({ text }) => JSON.parse(text));

describe('announcements', () => {
  it('tells crowns, dethronings and disqualifications, signed by the hotkey', async () => {
    start();
    for (const one of [ann, bob]) seen(one);
    crown(ann, null);
    crown(bob, ann);
    refuse(ann, 'COPY', 'copy.same_content', 'every trained tensor is\u202e identical\u0007');
    refuse(bob, 'REMOVED', 'precheck.revision_missing', 'gone');
    await settled(4);
    expect(told().map(({ kind, title, reason }) => [kind, title, reason])).toEqual([
      ['crown', 'uid 4 (ann/model) is the first king, reign 1', null],
      ['crown', 'uid 5 (bob/model) dethrones uid 4 (ann/model), reign 2', null],
      ['disqualification', 'uid 4 (ann/model) is disqualified: COPY', 'every trained tensor is identical'],
      ['dethroning', 'King uid 5 (bob/model) lost the crown: REMOVED', 'gone'],
    ]);
    for (const { headers, text } of requests) {
      const signature = Buffer.from(String(headers['x-quasar-signature']).slice(2), 'hex');
      expect(headers['x-quasar-hotkey']).toBe(wallet.hotkey);
      expect(verifySignature(wallet.hotkey, signedBytes(text), signature)).toBe(true);
      expect(verifySignature(wallet.hotkey, signedBytes(`${text} `), signature)).toBe(false);
    }
  });

  it('says nothing of what happened before it was there, nor of a submission that its miner replaced', async () => {
    seen(ann);
    crown(ann, null);
    start();
    seen(bob);
    refuse(bob, 'REMOVED', 'candidates.superseded', 'replaced by a newer commitment');
    crown(bob, ann);
    await settled(1);
    expect(told().map(({ kind, model }) => [kind, model.uid])).toEqual([['crown', 5]]);
  });

  it('goes on after a restart without saying anything twice', async () => {
    start();
    for (const one of [ann, bob]) seen(one);
    crown(ann, null);
    await settled(1);
    stop.abort();
    await Promise.all(running.splice(0));
    crown(bob, ann); // while nobody announced
    await restart();
    await settled(2);
    await restart();
    refuse(ann, 'INVALID', 'precheck.bad', 'bad');
    await settled(3);
    expect(told().map(({ seq }) => seq)).toEqual([...new Set(told().map(({ seq }) => seq))]);
    expect(told().map(({ kind }) => kind)).toEqual(['crown', 'crown', 'disqualification']);
  });

  it('tries again only what surely did not arrive', async () => {
    answers = [
      () => ({ status: 429, headers: { 'retry-after': '0' } }),
      () => ({ status: 204 }),
      () => 'break',
      () => ({ status: 500 }),
    ];
    start();
    seen(ann);
    crown(ann, null);
    crown(bob, ann);
    crown(ann, bob);
    await settled(3);
    const sent = store.events({ types: ['announcement.sent'] }).map(({ data }) => data);
    expect(sent).toMatchObject([
      { delivered: true, status: 204, tries: 2 },
      { delivered: false, status: null, tries: 1 },
      { delivered: false, status: 500, tries: 1 },
    ]);
    expect(requests).toHaveLength(4);
  });

  it('gives Discord text that mentions nobody and formats nothing', async () => {
    start('discord');
    seen({ ...ann, repo: 'ann/__init__' });
    crown({ ...ann, repo: 'ann/__init__' }, null);
    await settled(1);
    const [{ embeds, allowed_mentions }] = told();
    expect(allowed_mentions).toEqual({ parse: [] });
    expect(embeds[0].title).toBe('uid 4 \\(ann/\\_\\_init\\_\\_\\) is the first king, reign 1');
  });

  it('knows the addresses of Discord', () => {
    expect(webhookForm('https://discord.com/api/webhooks/1/x')).toBe('discord');
    expect(webhookForm('https://discord.com.evil.example/api/webhooks/1/x')).toBe('json');
    expect(webhookForm('https://example.org/hook')).toBe('json');
  });
});
