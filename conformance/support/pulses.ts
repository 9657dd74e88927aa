/** @file Pulses of a beacon of our own, written to where the runtime keeps those of drand. */
import type { LocalBeacon } from '../../packages/chain/src/timelock/index.ts';
import type { Harness } from './harness.ts';

export async function writePulse(
  harness: Harness,
  beacon: Pick<LocalBeacon, 'signature'>,
  round: number,
): Promise<void> {
  const pulse = { round: BigInt(round), randomness: new Uint8Array(32), signature: beacon.signature(round) };
  await harness.write(['Drand', 'Pulses', [BigInt(round)], pulse]);
}

/** Writes the pulse of every commitment that waits on this subnet, and makes the block that reveals them. */
export async function revealCommitments(harness: Harness, beacon: LocalBeacon, netuid: number): Promise<void> {
  const state = await harness.state();
  const waiting = await state.entries<{ info: { type: string; value: { reveal_round?: bigint } }[] }>(
    'Commitments',
    'CommitmentOf',
    netuid,
  );
  const rounds = waiting.flatMap(({ value }) => value.info.flatMap((field) => field.value?.reveal_round ?? []));
  for (const round of rounds) await writePulse(harness, beacon, Number(round));
  await harness.advance(1);
}
