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

/** As in the fixture. */
const TEMPO = 7;
const INITIAL_BALANCE = 1_000_000;

it('loses nothing that was acknowledged and keeps whole blocks only', async () => {
  const rng = new Rng('kill');
  let previous: Head | null = null;
  for (let run = 1; run <= 5; run++) {
    const events = await runAndKill(run, rng.int(1, 40), rng.int(0, 20));
    const of = <K extends Event['kind']>(kind: K) => events.filter((e) => e.kind === kind) as (Event & { kind: K })[];
    const opened = of('opened')[0] as Event & { kind: 'opened' };
    if (previous) expect(opened.head).toEqual(previous);

    const chain = DevChain.open({ path, blockTimeMs: 0, tempo: TEMPO, commitReveal: 'timelocked' });
    for (const { head } of [...of('opened'), ...of('staked')])
      expect(await chain.blockHash(head.number)).toBe(head.hash);
    const uid = of('registered')[0]?.uid;
    if (uid !== undefined) {
      const acknowledged = of('staked').at(-1)?.total ?? 0;
      const { hotkey } = (await chain.metagraph(24)).neurons[uid] as { hotkey: string };
      // The write under way at the kill may be in or out, but never by half and never twice.
      expect([acknowledged, acknowledged + 1]).toContain(INITIAL_BALANCE - (await chain.balance(hotkey)));
    }
    previous = await chain.advance(2 * TEMPO);
    expect(await chain.pendingWeights(24)).toEqual([]);
    expect(chain.events(24)).toEqual([]);
    expectConserved(chain);
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
  // What is written in two places was written in one block.
  const torn = `SELECT count(*) AS n FROM stakes s JOIN neurons n ON n.netuid = s.netuid AND n.hotkey = s.hotkey
    WHERE n.from_block = (SELECT max(from_block) FROM neurons WHERE netuid = n.netuid AND uid = n.uid) AND n.stake_rao <> s.rao`;
  expect(one(torn)).toBe(0);
  expect(one('SELECT count(*) AS n FROM weights')).toBeLessThanOrEqual(one(calls('commitTimelockedWeights')));
}

/** Stake is what was staked and what epochs paid, balances are what is left. */
function expectConserved(chain: DevChain): void {
  const sql = new Database(path);
  const one = (query: string) => (sql.prepare(query).get([]) as { n: number }).n;
  const staked = one("SELECT count(*) AS n FROM extrinsics WHERE call ->> '$.method' = 'addStake'");
  const epochs = one('SELECT coalesce(max(epoch_index), 0) AS n FROM subnets');
  const issuance = chain.issuance();
  expect(issuance.free).toBe(issuance.accounts * INITIAL_BALANCE - staked);
  const minted = issuance.staked - staked;
  expect(minted).toBeGreaterThanOrEqual(0);
  expect(minted).toBeLessThan(epochs * TEMPO);
}
