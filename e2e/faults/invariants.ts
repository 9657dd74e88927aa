/** @file What must hold however bad the world was, read from both event logs and from the history of the chain. */
import type { WeightRow } from '@quasar/chain';
import type { StoredEvent } from '@quasar/store';
import { buildWeights, Contest, type ContestEvents, rebuildContest, type UidWeight } from '@quasar/subnet';
import { expect } from 'vitest';
import type { FaultNet } from './fault-net.ts';
import { VALIDATORS, type ValidatorName } from './schedule.ts';
import type { WatchedLog } from './watched-log.ts';

/** A write that was on its way when its process died may still get into one of the next blocks. */
const LATE_BLOCKS = 6;
/** Weights come back from the chain as 16-bit fractions. */
const TOLERANCE = 2 / 65535;

export async function checkInvariants(net: FaultNet): Promise<{ rounds: number; kings: number; rows: number }> {
  const logs = { first: net.logs.first.whole(), second: net.logs.second.whole() };
  for (const name of VALIDATORS) {
    checkNothingLost(net, name, logs[name]);
    checkCrowns(logs[name]);
  }
  const agreed = checkAgreement(logs);
  checkNobodyHarmed(net, logs);
  const rows = await checkWeights(net, logs);
  return { ...agreed, rows };
}

/** Numbered without gaps, and everything that anybody ever saw is still there, unchanged. */
function checkNothingLost(net: FaultNet, name: ValidatorName, log: StoredEvent[]): void {
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_, i) => i + 1));
  const { seen } = net.logs[name];
  expect(seen.length).toBeGreaterThan(0);
  expect(log.slice(0, seen.length)).toEqual(seen);
}

/** One crown and one verdict per round, and no crown without the verdict. */
function checkCrowns(log: StoredEvent[]): void {
  const crowns = of(log, 'king.crowned').filter(({ source }) => source === 'duel');
  const verdicts = new Map(of(log, 'round.judged').map(({ round, crowned }) => [round, crowned]));
  expect(unique(crowns.map(({ round }) => round))).toBe(true);
  for (const { round, id } of crowns) expect(verdicts.get(round)).toBe(id);
  for (const type of ['round.judged', 'round.started', 'round.finished'] as const)
    expect(unique(of(log, type).map(({ round }) => round))).toBe(true);
  expect(unique(of(log, 'duel.judged').map(({ round, id }) => `${round} ${id}`))).toBe(true);
}

/** The same rounds, candidates, incumbents, kings; and per-prompt KL equal to the last bit. */
function checkAgreement(logs: Record<ValidatorName, StoredEvent[]>): { rounds: number; kings: number } {
  const rounds = VALIDATORS.map((name) => {
    const ends = new Map(of(logs[name], 'round.finished').map((end) => [end.round, end]));
    return of(logs[name], 'round.started')
      .filter(({ round }) => ends.has(round))
      .map(({ round, seedHash, candidates, incumbent }) => {
        const { king, outcome } = ends.get(round)!;
        return { round, seedHash, candidates, incumbent, king: king?.repo, outcome };
      });
  });
  expect(rounds[0]).toEqual(rounds[1]);
  const kings = VALIDATORS.map((name) => of(logs[name], 'king.crowned').map(({ id }) => id));
  expect(kings[0]).toEqual(kings[1]);
  const scores = VALIDATORS.map((name) =>
    of(logs[name], 'evaluation.scored').map(({ round, id, kl, axes }) => [`${round} ${id}`, kl, axes]),
  );
  expect(scores[0]!.length).toBeGreaterThan(0);
  expect(scores[0]).toEqual(scores[1]);
  return { rounds: rounds[0]!.length, kings: kings[0]!.length };
}

/** What a miner did decides what becomes of it; no fault does. */
function checkNobodyHarmed(net: FaultNet, logs: Record<ValidatorName, StoredEvent[]>): void {
  const fates = VALIDATORS.map((name) => {
    const contest = rebuildContest(logs[name]);
    return net.contestants.entries.map(({ repo, revision, kind }) => {
      const last = [...contest.submissions.values()].filter((one) => one.revision === revision).at(-1);
      return { repo, kind, status: last?.status };
    });
  });
  expect(fates[0]).toEqual(fates[1]);
  for (const { kind, status, repo } of fates[0]!)
    expect({
      repo,
      fair: (kind === 'copy' ? ['COPY'] : ['king', 'dethroned', 'lost']).includes(String(status)),
    }).toEqual({ repo, fair: true });
}

/** Every row that was ever on chain is the vector of a king that the log of its validator had when it was committed. */
async function checkWeights(net: FaultNet, logs: Record<ValidatorName, StoredEvent[]>): Promise<number> {
  const { netuid } = net.rules;
  const { number: head } = await net.chain.head();
  const { neurons } = await net.chain.metagraph(netuid);
  const uidOf = (hotkey: string) => neurons.find((one) => one.hotkey === hotkey)!.uid;
  const uids = new Set(neurons.map(({ uid }) => uid));
  const rows = new Set<string>();
  for (let block = 1, committed = new Map<string, number>(); block <= head; block++) {
    for (const row of await net.chain.weights(netuid, block)) {
      if (row.setAtBlock !== block) continue;
      rows.add(`${row.hotkey} ${block}`);
      const name = VALIDATORS.find((one) => net.wallets[one].hotkey === row.hotkey)!;
      const committedAtBlock = committed.get(row.hotkey)!;
      expect(committedAtBlock, 'weights are hidden first').toBeLessThan(block);
      const kings = kingsAround(logs[name], net.logs[name], committedAtBlock);
      const explained = kings.some((hotkey) => {
        const input = { kingUid: hotkey === null ? null : uidOf(hotkey), uids, ownUid: uidOf(row.hotkey) };
        return isEqual(row, buildWeights(input, net.rules.weights)!);
      });
      expect({ name, row, committedAtBlock, kings, explained }).toMatchObject({ explained: true });
    }
    const metagraph = await net.chain.metagraph(netuid, block);
    committed = new Map(metagraph.neurons.map(({ hotkey, lastUpdateBlock }) => [hotkey, lastUpdateBlock]));
  }
  return rows.size;
}

/**
 * Hotkeys of the kings that a log can have had within the last blocks before `block`; null for none. An event says which block its
 * writer had seen last, so it is not older; it was there when somebody saw it, so it is not newer.
 */
function kingsAround(log: StoredEvent[], { seenAtBlock }: WatchedLog, block: number): (string | null)[] {
  const contest = new Contest();
  let before: string | null = null;
  const within: (string | null)[] = [];
  for (const [i, event] of log.entries()) {
    const { atBlock = 0 } = event.data as { atBlock?: number };
    if (atBlock > block) break;
    contest.apply(event);
    const king = contest.king?.hotkey ?? null;
    if ((seenAtBlock[i] ?? Number.POSITIVE_INFINITY) <= block - LATE_BLOCKS) before = king;
    else within.push(king);
  }
  return [...new Set([before, ...within])];
}

function isEqual(row: WeightRow, wanted: readonly UidWeight[]): boolean {
  const have = row.weights.filter(({ weight }) => weight > 0);
  return (
    have.length === wanted.length &&
    wanted.every(({ uid, weight }) => have.some((one) => one.uid === uid && Math.abs(one.weight - weight) < TOLERANCE))
  );
}

function of<T extends keyof ContestEvents>(log: StoredEvent[], type: T): ContestEvents[T][] {
  return log.filter((event) => event.type === type).map(({ data }) => data as ContestEvents[T]);
}

function unique(items: readonly unknown[]): boolean {
  return new Set(items).size === items.length;
}
