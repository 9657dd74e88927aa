/** @file Runs by name: under a home, elsewhere, below a folder; how each of them stands; two beside each other. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tinyStage } from '../testing/tiny-stage.ts';
import { type ComparedRun, compareRuns } from './compare.ts';
import { readEvents } from './event-file.ts';
import { findRun, type KnownRun, knownRuns, registerRun, runRow, scanRuns } from './registry.ts';
import { comparePage } from './report/compare-page.ts';
import { RunFolder } from './run-folder.ts';
import { RunLog } from './run-log.ts';
import { RunSummary } from './run-summary.ts';

let root: string;
let home: string;
const settings = { steps: 6, evaluateEvery: 3 };
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'quasar-runs-'));
  home = join(root, 'home', 'runs');
  await tinyStage(join(home, 'alpha'), settings);
  await tinyStage(join(root, 'far', 'beta'), { ...settings, learningRate: 1e-3, B: 1 });
});
afterAll(() => rmSync(root, { recursive: true }));

const names = (runs: readonly KnownRun[]) => runs.map(({ name }) => name);

describe('known runs', () => {
  it('are those of the home and those that left a pointer there', async () => {
    expect(names(knownRuns(home))).toEqual(['alpha']);
    expect(registerRun(home, join(home, 'alpha'))).toBe('alpha');
    const beta = join(root, 'far', 'beta');
    for (let i = 0; i < 2; i++) expect(registerRun(home, beta)).toBe('beta');
    // Another one of the same name.
    const namesake = join(root, 'near', 'beta');
    await tinyStage(namesake, { steps: 1 });
    expect(registerRun(home, namesake)).toBe('beta-2');
    expect(names(knownRuns(home))).toEqual(['alpha', 'beta-2', 'beta']);
    expect(findRun(home, 'beta').folder.out).toBe(beta);
    expect(findRun(home, 'al').name).toBe('alpha');
    expect(findRun(home, namesake).folder.out).toBe(namesake);
    const code = (text: string) => {
      try {
        return findRun(home, text).name;
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect([code('be'), code('gamma'), code(root)]).toEqual(['runs.ambiguous', 'runs.unknown', 'runs.unknown']);
    rmSync(join(root, 'near'), { recursive: true });
    expect(names(knownRuns(home))).toEqual(['alpha', 'beta']);
  });

  it('lie below a folder', () => {
    expect(names(scanRuns(root))).toEqual(['far/beta', 'home/runs/alpha']);
    expect(names(scanRuns(join(root, 'far', 'beta')))).toEqual(['beta']);
    expect(() => scanRuns(join(root, 'nowhere'))).toThrow(expect.objectContaining({ code: 'runs.unknown' }));
  });

  it('tell how they stand', () => {
    const row = (out: string) => runRow({ name: 'x', folder: new RunFolder(out) });
    const out = join(home, 'alpha');
    const done = row(out);
    expect(done).toMatchObject({ name: 'x', stage: 'pretrain', state: 'done', step: 6, steps: 6 });
    for (const x of [done.loss, done.heldOut, done.tokensPerSecond]) expect(x).toBeGreaterThan(0);
    expect(done.sizeBytes).toBeGreaterThan(10_000);
    const log = RunLog.open(out);
    expect(row(out).state).toBe('running');
    log.close();
    const damaged = join(root, 'damaged');
    mkdirSync(join(damaged, 'run'), { recursive: true });
    writeFileSync(join(damaged, 'run', 'run.json'), '{"run":');
    expect(row(damaged)).toMatchObject({ state: 'damaged', step: null, startedAt: null });
    expect(() => new RunFolder(damaged).readRecord()).toThrow(expect.objectContaining({ code: 'runs.damaged' }));
    rmSync(damaged, { recursive: true });
  });
});

describe('runs beside each other', () => {
  const compared = (name: string, out: string): ComparedRun => {
    const folder = new RunFolder(out);
    return { name, state: 'done', ...folder.readRecord(), summary: RunSummary.of(readEvents(folder.eventsFile)) };
  };
  const pair = () => [compared('a', join(home, 'alpha')), compared('b', join(root, 'far', 'beta'))];

  it('differ in settings, losses and ends', () => {
    const found = compareRuns(pair());
    expect(found.metric).toBe('ce');
    expect(found.settings).toEqual([
      { name: 'B', values: [2, 1] },
      { name: 'learningRate', values: [5e-3, 1e-3] },
    ]);
    expect(found.atSteps.map(({ step }) => step)).toEqual([1, 2, 2, 3, 4, 5, 5, 6]);
    // At equal tokens the smaller batch is further on; the comparison ends where it does.
    expect(found.atTokens.at(-1)?.tokens).toBe(6 * 48);
    for (const [i, { summary }] of pair().entries())
      expect(found.atSteps[0]?.losses[i]).toBe(summary.metrics.get('ce')?.bins[0]?.value);
    expect(found.final.map(({ step, tokens }) => [step, tokens])).toEqual([
      [6, 6 * 2 * 48],
      [6, 6 * 48],
    ]);
    expect(found.final[0]?.heldOut.world?.best).toBeLessThanOrEqual(found.final[0]?.heldOut.world?.last as number);
  });

  it('make a page', () => {
    const page = comparePage(pair());
    expect(page).toContain('<th scope="row">learningRate</th><td class="n">0.005</td><td class="n">0.001</td>');
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('may have nothing in common', () => {
    const [a, b] = pair() as [ComparedRun, ComparedRun];
    const empty = { ...b, summary: new RunSummary() };
    expect(compareRuns([a, empty])).toMatchObject({ metric: null, atSteps: [], atTokens: [] });
    expect(comparePage([a, empty])).toContain('</html>');
  });
});
