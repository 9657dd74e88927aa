/** @file The checkpoint that reigns, as any miner can find it: by the weights and commitments on chain alone. */
import type { Chain } from '@quasar/chain';
import type { HubClient } from '@quasar/hub';
import { chainKing, isModelFile, parseCommitment } from '@quasar/subnet';
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
  const files = (await hub.list(repo, revision, { signal }))?.filter(({ path }) => isModelFile(path)) ?? [];
  // Config, tokenizer, weights: what is not whole is nobody's king.
  if (files.length < 3) return null;
  const directory = await hub.download(repo, revision, { files, maxTotalBytes: MAX_TOTAL_BYTES, signal });
  return { repo, revision, directory };
}
