/** @file SIGKILL to the supervisor in the middle of a round: nothing is lost, nothing is judged twice, the round ends. */
import { join } from 'node:path';
import { openStore, type StoredEvent } from '@quasar/store';
import { expect, inject, it } from 'vitest';
import { childrenOf, eventually, isAlive, netWithKing, runningNet, stopNet } from './support/net.ts';
import { quasar } from './support/run.ts';

const home = inject('sharedHome');
const LIMIT_MS = 900_000;

function readLog(): StoredEvent[] {
  const store = openStore({ path: join(home, 'validator', 'contest.sqlite') });
  try {
    return store.events();
  } finally {
    store.close();
  }
}

it('a killed net resumes where it was', { timeout: LIMIT_MS }, async () => {
  await netWithKing(home);
  // A contestant of our own, so that there is an evaluation to interrupt whenever this test runs.
  const miner = await quasar('miner', 'run', '--home', home, '--name', 'interrupted', '--steps', '3', '--json');
  expect({ code: miner.code, stderr: miner.stderr }).toMatchObject({ code: 0 });
  const { revision } = JSON.parse(miner.stdout.trim().split('\n').at(-1) as string);
  const ofOurs = (event: StoredEvent) => (event.data as { revision?: string }).revision === revision;
  const id = await eventually(home, 'the submission is seen', 120_000, () => {
    const seen = readLog().find((event) => event.type === 'submission.seen' && ofOurs(event));
    return seen === undefined ? null : (seen.data as { id: string }).id;
  });
  const isOurs = (event: StoredEvent) => (event.data as { id?: string }).id === id;
  await eventually(home, 'its evaluation has begun', 120_000, () =>
    readLog().some((event) => event.type === 'evaluation.progress' && isOurs(event)) ? true : null,
  );

  const children = childrenOf(home);
  await stopNet(home, 'SIGKILL');
  await eventually(home, 'the orphans end by themselves', 30_000, () => (children.some(isAlive) ? null : true));
  const before = readLog();
  const round = before.filter((event) => event.type === 'round.started').at(-1) as StoredEvent<{ round: number }>;
  const isEnd = (event: StoredEvent) =>
    event.type === 'round.finished' && (event.data as { round: number }).round === round.data.round;
  expect(before.some(isEnd)).toBe(false);
  expect(before.some((event) => event.type === 'duel.judged' && isOurs(event))).toBe(false);

  await runningNet(home);
  await eventually(home, 'the interrupted round ends', 300_000, () => (readLog().some(isEnd) ? true : null));

  const after = readLog();
  expect(after.slice(0, before.length)).toEqual(before);
  expect(after.map((event) => event.seq)).toEqual(after.map((_, i) => i + 1));
  // One verdict per submission and round: a tie may be judged again, but only in a later round.
  const keys = after
    .filter((event) => ['submission.seen', 'duel.judged', 'king.crowned', 'round.finished'].includes(event.type))
    .map(({ type, data }) => {
      const { id, round } = data as { id?: string; round: number };
      return `${type} ${id ?? ''} ${type === 'submission.seen' ? '' : round}`;
    });
  expect(keys).toEqual([...new Set(keys)]);
  const verdicts = after.filter(
    (event) => isOurs(event) && ['duel.judged', 'submission.rejected', 'evaluation.failed'].includes(event.type),
  );
  expect(verdicts.map((event) => event.type)).toEqual(['duel.judged']);
});
