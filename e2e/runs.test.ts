/**
 * @file A training run as its owner meets it: progress, the list of runs, one of them, two beside each other, the report in a
 * browser. `QUASAR_SCREENSHOTS=<folder>` keeps pictures of the report in both themes on a desktop and on a phone.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumPath, openBrowser } from './support/browser.ts';
import { QUASAR, REPOSITORY } from './support/paths.ts';
import { quasar } from './support/run.ts';

const STEPS = 24;
const pictures = process.env.QUASAR_SCREENSHOTS;

let root: string;
let home: string;
let progress: string;
const out = (name: string) => join(root, 'models', name);
const inHome = (...args: string[]) => quasar('--home', home, ...args);

async function json<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await inHome(...args, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as T;
}

const pretrain = (name: string, ...more: string[]) => [
  ...[
    'pretrain',
    '--tokenizer',
    join(REPOSITORY, 'assets/tokenizer.json'),
    '--out',
    out(name),
    '--steps',
    String(STEPS),
  ],
  ...['--rows', '1', '--tokens', '64', '--evaluate-every', '8', '--save-every', '10', ...more],
];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'quasar-runs-'));
  home = join(root, 'home');
  for (const args of [pretrain('first'), pretrain('second', '--learning-rate', '0.0005')]) {
    const { code, stderr } = await inHome(...args);
    expect(code, stderr).toBe(0);
    progress = stderr;
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('a run in the terminal', () => {
  it('says beforehand how long it takes, then how it goes', () => {
    const [forecast, ...bars] = progress.trim().split('\n');
    expect(forecast).toMatch(/^quasar: about \d+ s for 24 steps of 64 tokens on \w+, \d+ threads$/);
    expect(bars).toHaveLength(11);
    expect(bars.at(-1)).toMatch(
      /^training 100 % step 24\/24 {2}ce \d\.\d{3} {2}held-out world \d\.\d{3} {2}[\d,]+ tokens\/s {2}\d+ % of peak {2}0 s left$/,
    );
  });

  it('is listed', async () => {
    const { runs } = await json<{ runs: Record<string, unknown>[] }>('runs', 'list');
    expect(runs.map(({ name, stage, state, step, steps }) => [name, stage, state, step, steps])).toEqual([
      ['first', 'pretrain', 'done', STEPS, STEPS],
      ['second', 'pretrain', 'done', STEPS, STEPS],
    ]);
    const scanned = await json<{ runs: Record<string, unknown>[] }>('runs', 'list', join(root, 'models'));
    expect(scanned.runs).toEqual(runs);
    const { stdout } = await inHome('runs', 'list');
    expect(stdout.split('\n')[1]).toMatch(/^first +pretrain +done +24\/24 +\d\.\d{4} +\d\.\d{4} +\d+ +20\d\d-/);
  });

  it('is shown, by the beginning of its name or by its folder', async () => {
    type Shown = { name: string; differing: { name: string }[]; evaluations: { step: number }[]; predictedMs: number };
    const shown = await json<Shown>('runs', 'show', 'fi');
    expect(shown.evaluations.map(({ step }) => step)).toEqual([0, 8, 16, 24]);
    expect(shown.differing.map(({ name }) => name)).toEqual(['B', 'T', 'saveEvery', 'evaluateEvery', 'steps', 'seed']);
    expect(shown.predictedMs).toBeGreaterThan(0);
    expect(await json('runs', 'show', out('first'), '--follow')).toEqual(shown);
    const { stdout } = await inHome('runs', 'show', 'first');
    for (const text of ['first: pretrain, done', '24 of 24, 1,536 tokens', 'report.html'])
      expect(stdout).toContain(text);
  });

  it('is compared', async () => {
    const html = join(root, 'both.html');
    type Compared = { runs: string[]; settings: unknown[]; atSteps: unknown[]; html: string };
    const compared = await json<Compared>('runs', 'compare', 'first', 'second', '--html', html);
    expect(compared.settings).toEqual([{ name: 'learningRate', values: [2e-3, 5e-4] }]);
    expect(compared.atSteps).toHaveLength(8);
    expect(readFileSync(html, 'utf8')).toContain('<title>first, second</title>');
  });

  it('is made again from its record, with the same bits', async () => {
    const { code, stderr } = await inHome(
      'pretrain',
      '--config',
      join(out('first'), 'run/run.json'),
      '--out',
      out('again'),
    );
    expect(code, stderr).toBe(0);
    const weights = (name: string) => readFileSync(join(out(name), 'model.safetensors'));
    expect(weights('again').equals(weights('first'))).toBe(true);
  });

  it.each([
    [['show', 'nobody'], 'runs.unknown'],
    [['compare', 'first'], 'usage.missing_argument'],
  ])('wrong use is one line: %j', async (args, code) => {
    const { code: exit, stderr } = await inHome('runs', ...args);
    expect([exit, stderr.trim().split('\n').length]).toEqual([2, 1]);
    expect(stderr).toContain(`[${code}]`);
  });

  it('a run that was killed says so, and one that runs is followed', async () => {
    const args = [QUASAR, '--home', home, ...pretrain('long').map((x) => (x === String(STEPS) ? '100000' : x))];
    const child = spawn(process.execPath, args, { stdio: 'ignore' });
    try {
      const state = async () => {
        if (!existsSync(join(out('long'), 'run/run.json'))) return null;
        return (await json<{ state: string; step: number | null }>('runs', 'show', 'long')) ?? null;
      };
      await expect
        .poll(state, { timeout: 60_000, interval: 300 })
        .toMatchObject({ state: 'running', step: expect.any(Number) });
      const refused = await inHome(...pretrain('long'));
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('[train.run_active]')]);
      const following = inHome('runs', 'show', 'long', '--follow', '--json');
      await new Promise((resolve) => setTimeout(resolve, 1500));
      child.kill('SIGKILL');
      const { code, stdout } = await following;
      expect([code, JSON.parse(stdout).state]).toEqual([0, 'killed']);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe.skipIf(!chromiumPath && !process.env.CI)('the report in a browser', () => {
  let browser: Browser;
  let page: Page;
  const requests: string[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    browser = await openBrowser();
    page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' });
    page.on('request', (request) => requests.push(request.url()));
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(pathToFileURL(join(out('first'), 'run/report.html')).href);
  });
  afterAll(() => browser?.close());

  it('plots every step and every evaluation, and asks nobody for anything', async () => {
    const points = await page.$$eval('figure.plot', (figures) =>
      figures.map((figure) => [
        figure.querySelector('b')?.textContent,
        ...[...figure.querySelectorAll('polyline')].map((line) => line.points.numberOfItems),
      ]),
    );
    expect(points).toEqual([
      ['Loss: ce', STEPS, STEPS, 4],
      ['Loss: all that is minimised', STEPS, STEPS],
      ['Learning rate', STEPS],
      ['Gradient norm', STEPS, STEPS],
      ['Throughput', STEPS],
      ['Share of peak', STEPS],
      ['Memory', STEPS, STEPS],
    ]);
    // Four mixture layers of eight experts, one column per step.
    const cells = await page.$$eval('figure.heat svg', (svgs) =>
      svgs.map(({ dataset }) => [dataset.rows, dataset.columns]),
    );
    expect(cells).toEqual([
      ['32', String(STEPS)],
      ['32', String(STEPS)],
    ]);
    expect(await page.locator('path.mark.saved').count()).toBe(2 * 7);
    expect(await page.locator('svg:not(:has(title))').count()).toBe(0);
    expect(requests.filter((url) => !url.startsWith('file:') && !url.startsWith('data:'))).toEqual([]);
    expect(complaints).toEqual([]);
  });

  it('tells values under the pointer', async () => {
    const plot = page.locator('figure.plot').first();
    const box = await plot.locator('svg').boundingBox();
    if (!box) throw new Error('no plot');
    await page.mouse.move(box.x + box.width * 0.97, box.y + box.height / 2);
    expect(await plot.locator('output').textContent()).toMatch(/^24: training \d\.\d+, held-out world \d\.\d+$/);
  });

  it.each([
    ['light', 'desktop', 1280],
    ['light', 'phone', 390],
    ['dark', 'desktop', 1280],
    ['dark', 'phone', 390],
  ] as const)('fits: %s, %s', async (colorScheme, name, width) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)).toBeLessThanOrEqual(0);
    if (!pictures) return;
    mkdirSync(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `run-${name}-${colorScheme}.png`), fullPage: true });
  });
});
