/** @file A SIGKILL at any moment: what was acknowledged is there, nothing is there by half, and the numbers go on. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Rng } from '@quasar/base';
import Database from 'libsql';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Head } from '../port.ts';
import { DevChain } from './dev-chain.ts';

type Event =
  | { kind: 'opened'; head: Head }
  | { kind: 'registered'; uid: number }
  | { kind: 'committed'; data: string; expectedRevealBlock: number }
  | { kind: 'staked'; total: number; head: Head };

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const fixture = fileURLToPath(new URL('../testing/kill-fixture.mjs', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'quasar-kill-'));
const path = join(directory, 'chain.db');

beforeAll(() => {
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', join(root, 'packages/chain')]);
}, 120_000);
afterAll(() => rmSync(directory, { recursive: true }));

/** Runs the fixture, kills it after `events` lines plus a little while, and returns every line it managed to print. */
async function runAndKill(run: number, events: number, extraMs: number): Promise<Event[]> {
  const child = spawn(process.execPath, [fixture, path, String(run)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  const seen: Event[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    seen.push(JSON.parse(line));
    if (seen.length === events) setTimeout(() => child.kill('SIGKILL'), extraMs);
  }
  const [, signal] = await exit;
  expect(signal).toBe('SIGKILL');
  return seen;
}

it('loses nothing that was acknowledged and keeps whole blocks only', async () => {
  const rng = new Rng('kill');
  let previous: Head | null = null;
  for (let run = 1; run <= 5; run++) {
    const events = await runAndKill(run, rng.int(1, 40), rng.int(0, 20));
    const of = <K extends Event['kind']>(kind: K) => events.filter((e) => e.kind === kind) as (Event & { kind: K })[];
    const opened = of('opened')[0] as Event & { kind: 'opened' };
    if (previous) expect(opened.head).toEqual(previous);

    const chain = DevChain.open({ path, blockTimeMs: 0 });
    for (const { head } of [...of('opened'), ...of('staked')])
      expect(await chain.blockHash(head.number)).toBe(head.hash);
    const hotkeys = (await chain.metagraph(24)).neurons;
    const uid = of('registered')[0]?.uid;
    if (uid !== undefined) {
      const acknowledged = of('staked').at(-1)?.total ?? 0;
      const stake = hotkeys[uid]?.stake as number;
      // The write under way at the kill may be in or out, but never by half and never twice.
      expect([acknowledged, acknowledged + 1]).toContain(stake);
    }
    previous = await chain.advance(1);
    const revealed = new Map((await chain.commitments(24, previous.number)).map((c) => [c.data, c.revealedAtBlock]));
    for (const { data, expectedRevealBlock } of of('committed')) {
      expect(revealed.get(data)).toBe(expectedRevealBlock);
    }
    chain.close();
    expectWholeBlocks();
  }
}, 120_000);

/** Numbers without gaps, and every effect has its extrinsic in an existing block. */
function expectWholeBlocks(): void {
  const sql = new Database(path);
  const one = (query: string) => (sql.prepare(query).get([]) as { n: number }).n;
  expect(one('SELECT count(*) AS n FROM blocks')).toBe(one('SELECT max(number) + 1 AS n FROM blocks'));
  expect(one('SELECT count(*) AS n FROM extrinsics WHERE block NOT IN (SELECT number FROM blocks)')).toBe(0);
  const calls = (method: string) => `SELECT count(*) AS n FROM extrinsics WHERE call ->> '$.method' = '${method}'`;
  expect(one('SELECT count(*) AS n FROM owners')).toBe(one(calls('register')));
  expect(one('SELECT count(*) AS n FROM commitments')).toBe(one(calls('commitTimelocked')));
  expect(one('SELECT sum(rao) / 1000000000 AS n FROM stakes')).toBe(one(calls('addStake')));
}
