/** @file The checkpoint that reigns, as any miner can find it: by the weights and commitments on chain alone. */
import type { Chain } from '@quasar/chain';
import type { HubClient } from '@quasar/hub';
import { CHECKPOINT_FILES } from '@quasar/model';
import { chainKing, parseCommitment } from '@quasar/subnet';
import { NETUID } from '../net-options.ts';

/** Far above any laptop checkpoint. */
const MAX_TOTAL_BYTES = 2 ** 30;

export interface KingCheckpoint {
  repo: string;
  revision: string;
  /** Holds config, tokenizer and weights; shared with the cache, so read only. */
  directory: string;
}

/** Null when nobody reigns, or when the king's files are gone. */
export async function findKing(chain: Chain, hub: HubClient, signal: AbortSignal): Promise<KingCheckpoint | null> {
  const { number } = await chain.head();
  const king = chainKing(await chain.weights(NETUID, number), await chain.metagraph(NETUID));
  if (king === null) return null;
  const newest = (await chain.commitments(NETUID, number)).findLast(
    (one) => one.hotkey === king.hotkey && one.revealedAtBlock <= king.weightsBlock,
  );
  const payload = newest === undefined ? null : parseCommitment(newest.data);
  if (!payload?.ok) return null;
  const { repo, revision } = payload.value;
  const wanted: string[] = Object.values(CHECKPOINT_FILES);
  const files = (await hub.list(repo, revision))?.filter(({ path }) => wanted.includes(path));
  if (files?.length !== wanted.length) return null;
  const directory = await hub.download(repo, revision, { files, maxTotalBytes: MAX_TOTAL_BYTES, signal });
  return { repo, revision, directory };
}
