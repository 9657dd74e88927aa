/**
 * @file The dashboard in a real browser, over a real store, chain and socket: what it shows and that it follows the log.
 * `QUASAR_SCREENSHOTS=<folder>` keeps pictures of both themes on a desktop and on a phone.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DevChain, walletFromSeed } from '@quasar/chain';
import { trainBpe } from '@quasar/model';
import { type App, createApp, createLog, type Served, serve, type TextEngine } from '@quasar/server';
import { openStore, type Store } from '@quasar/store';
import type { Browser, ConsoleMessage, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SampleContest, sampleEvents } from '../packages/server/src/testing/sample-log.ts';
import { chromiumPath, openBrowser } from './support/browser.ts';
import { REPOSITORY } from './support/paths.ts';
import { run } from './support/run.ts';

/** Loaded machines are slow; a wait that ends sooner costs nothing. */
const PATIENT = { timeout: 20_000 };

const NETUID = 24;
const pictures = process.env.QUASAR_SCREENSHOTS;
const EVENT_SPACING_MS = 2600;

const tokenizer = trainBpe([], { vocabSize: 263 });

/** Says what it was told, backwards: whoever reads that knows where it came from. */
const reverser: TextEngine = {
  tokenizer,
  async *stream(prompt, { maxNewTokens }) {
    const words = prompt.filter((id) => !tokenizer.isSpecial(id)).reverse();
    for (const token of words.slice(0, maxNewTokens)) yield { token, logprob: -0.5 };
  },
  view: async () => [],
  dispose() {},
};

describe.skipIf(!chromiumPath && !process.env.CI)('the dashboard in a browser', () => {
  let store: Store;
  let chain: DevChain;
  let app: App;
  let served: Served;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    // The test runner's NODE_ENV would leave a development build behind.
    const { code, stderr } = await run('env', ['NODE_ENV=production', 'npm', 'run', 'build', '-w', '@quasar/web']);
    expect(code, stderr).toBe(0);
    const events = sampleEvents();
    let clockMs = Date.now() - events.length * EVENT_SPACING_MS;
    const tick = () => {
      clockMs += EVENT_SPACING_MS;
      return Math.min(Date.now(), clockMs);
    };
    store = openStore({ path: ':memory:', clock: () => tick() });
    for (const { type, data } of events) store.append(type, data);
    const king = store.events({ types: ['king.crowned'] }).at(-1)?.data as { uid: number };

    chain = DevChain.open({ path: ':memory:', blockTimeMs: 0, weightsRateLimitBlocks: 1, tempo: 5 });
    const wallets = Array.from({ length: king.uid + 1 }, (_, i) => walletFromSeed(new Uint8Array(32).fill(i + 1)));
    for (const wallet of wallets) await chain.register(wallet, NETUID);
    const [owner] = wallets;
    if (!owner) throw new Error('no wallet');
    await chain.addStake(owner, NETUID, 10_000);
    await chain.advance(10);
    await chain.setWeights(owner, NETUID, [
      { uid: king.uid, weight: 0.9 },
      { uid: 0, weight: 0.1 },
    ]);
    const last = store.events().at(-1)?.data as { atBlock: number };
    await chain.advance(last.atBlock + 12 - (await chain.head()).number);

    app = createApp({
      store,
      chain,
      netuid: NETUID,
      models: { baseDirectory: 'base', load: async () => reverser },
      webDirectory: join(REPOSITORY, 'apps/web/dist'),
      limits: { heartbeatMs: 500 },
      log: createLog('silent'),
    });
    served = await serve(app, { port: 0 });
    browser = await openBrowser();
    page = await browser.newPage({ viewport: { width: 1440, height: 900 }, colorScheme: 'dark' });
    page.on('console', (message: ConsoleMessage) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
    });
    page.on('pageerror', (error: Error) => complaints.push(String(error)));
    await page.goto(served.url);
  });

  afterAll(async () => {
    await browser?.close();
    await served?.close();
    chain?.close();
    store?.close();
  });

  const seen = (testId: string) => page.getByTestId(testId);

  it('shows the king with its whole revision', async () => {
    const king = store.events({ types: ['king.crowned'] }).at(-1)?.data as { uid: number; revision: string };
    expect(king.revision).toMatch(/^[0-9a-f]{40}$/);
    await seen('king-revision').waitFor();
    expect(await seen('king-revision').textContent()).toBe(king.revision);
    expect(await seen('king-uid').textContent()).toBe(`uid ${king.uid}`);
    expect(await seen('king-weights').textContent()).toContain('0.9 / 0.1');
  });

  it('shows every duel and every kind of status', async () => {
    expect(await seen('duel').count()).toBe(8);
    await page.getByRole('button', { name: /show all \d+ duels/i }).click();
    expect(await seen('duel').count()).toBe(store.events({ types: ['duel.judged'] }).length);
    const statuses = await seen('submission').evaluateAll((rows) => rows.map((row) => row.getAttribute('data-status')));
    expect(new Set(statuses)).toEqual(
      new Set(['king', 'dethroned', 'lost', 'pending', 'COPY', 'REMOVED', 'INVALID', 'EVAL_ERROR']),
    );
  });

  it('shows the chain, the weights and that the chain agrees', async () => {
    await expect
      .poll(() => seen('chain-block').textContent(), PATIENT)
      .toContain(String((await chain.head()).number).slice(-3));
    expect(await seen('weight').allTextContents()).toEqual(['4king90\u00a0%', '0reserve10\u00a0%']);
    await expect.poll(() => seen('consensus').textContent(), PATIENT).toContain('The chain agrees');
  });

  it('tells why a submission was refused, by keyboard', async () => {
    await seen('submission')
      .and(page.locator('[data-status="INVALID"]'))
      .getByRole('button', { name: 'INVALID' })
      .focus();
    await page.keyboard.press('Enter');
    expect(await seen('notes').textContent()).toContain('Shape is [512, 1408], the config asks for [512, 1536].');
  });

  it('takes pictures', async () => {
    if (!pictures) return;
    mkdirSync(pictures, { recursive: true });
    await page.locator('[data-testid="duel"] summary').nth(1).click();
    for (const theme of ['dark', 'light'])
      for (const [name, width, height] of [
        ['desktop', 1440, 900],
        ['phone', 390, 844],
      ] as const) {
        await page.setViewportSize({ width, height });
        await page.evaluate((chosen) => {
          document.documentElement.dataset.theme = chosen;
        }, theme);
        await page.waitForTimeout(700);
        await page.screenshot({ path: join(pictures, `${name}-${theme}.png`), fullPage: true });
        for (const y of [0, 1300, 2600, 3900])
          if (name === 'phone')
            await page.screenshot({
              path: join(pictures, `phone-${theme}-${y}.png`),
              fullPage: true,
              clip: { x: 0, y, width, height: 1300 },
            });
      }
    await page.setViewportSize({ width: 1440, height: 900 });
  });

  it('answers in the chat', async () => {
    await seen('chat-text').fill('olleh');
    await seen('chat-send').click();
    await expect.poll(() => seen('answer').textContent(), PATIENT).toBe('hello');
  });

  it('follows the log without a reload', async () => {
    await expect.poll(() => seen('connection').getAttribute('data-state'), PATIENT).toBe('live');
    const contest = new SampleContest('a second contest');
    const heir = contest.entrant(61, 'aphelion/the-heir', 0.2);
    store.appendAll([contest.seen(heir), contest.startRound([heir]), ...contest.duel(heir), ...contest.crown(heir)]);
    await expect.poll(() => seen('king-revision').textContent(), PATIENT).toBe(heir.revision);
    expect(await seen('king-repo').textContent()).toBe('aphelion/the-heir');
    expect(await seen('duel').first().textContent()).toContain('aphelion/the-heir');
    expect(await seen('event').allTextContents()).toContainEqual(expect.stringContaining('uid 61 crowned'));
  });

  it('follows the chain', async () => {
    const { number } = await chain.advance(7);
    await expect.poll(() => seen('chain-block').textContent(), PATIENT).toContain(String(number).slice(-3));
  });

  it('says when the server is gone, keeps the picture, and comes back', async () => {
    expect(complaints).toEqual([]);
    const { port } = new URL(served.url);
    await served.close();
    await expect.poll(() => seen('connection').getAttribute('data-state'), PATIENT).toBe('offline');
    await seen('banner').waitFor();
    expect(await seen('king-repo').textContent()).toBe('aphelion/the-heir');
    if (pictures) await page.screenshot({ path: join(pictures, 'offline.png') });
    app = createApp({ store, chain, webDirectory: join(REPOSITORY, 'apps/web/dist'), log: createLog('silent') });
    served = await serve(app, { port: Number(port) });
    await expect.poll(() => seen('connection').getAttribute('data-state'), PATIENT).toBe('live');
  });

  it('has a first picture for an empty log', async () => {
    const empty = openStore({ path: ':memory:' });
    const fresh = await serve(
      createApp({ store: empty, webDirectory: join(REPOSITORY, 'apps/web/dist'), log: createLog('silent') }),
      { port: 0 },
    );
    try {
      await page.goto(fresh.url);
      await expect.poll(() => seen('king').textContent(), PATIENT).toContain('The throne is empty');
      expect(await seen('submissions').textContent()).toContain('Nobody has submitted yet');
      expect(await seen('duels').textContent()).toContain('No duel has been judged yet');
      if (pictures) await page.screenshot({ path: join(pictures, 'empty.png'), fullPage: true });
    } finally {
      await page.goto('about:blank');
      await fresh.close();
      empty.close();
    }
  });
});
