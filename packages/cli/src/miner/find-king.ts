/** @file The checkpoint that reigns, as any miner can find it: by the weights and commitments on chain alone. */
import type { Chain } from '@quasar/chain';
import type { HubClient } from '@quasar/hub';
import { chainKing, isModelFile, parseCommitment, type SubnetConfig } from '@quasar/subnet';

export interface KingCheckpoint {
  repo: string;
  revision: string;
  /** Holds config, tokenizer and weights; shared with the cache, so read only. */
  directory: string;
}

/** Null when nobody reigns on the subnet of the rules, or when the king's files are gone. */
export async function findKing(
  chain: Chain,
  hub: HubClient,
  { netuid, limits }: SubnetConfig,
  signal: AbortSignal,
): Promise<KingCheckpoint | null> {
  const { number } = await chain.head();
  const king = chainKing(await chain.weights(netuid, number), await chain.metagraph(netuid));
  if (king === null) return null;
  const newest = (await chain.commitments(netuid, number)).findLast(
    (one) => one.hotkey === king.hotkey && one.revealedAtBlock <= king.weightsBlock,
  );
  const payload = newest === undefined ? null : parseCommitment(newest.data);
  if (!payload?.ok) return null;
  const { repo, revision } = payload.value;
  const files = (await hub.list(repo, revision, { signal }))?.filter(({ path }) => isModelFile(path)) ?? [];
  // Config, tokenizer, weights: what is not whole is nobody's king.
  if (files.length < 3) return null;
  const directory = await hub.download(repo, revision, { files, maxTotalBytes: maxTotalBytes(limits), signal });
  return { repo, revision, directory };
}

/** No submission is larger: most parameters have two bytes, buffers of routers four. */
function maxTotalBytes({ maxParameters, maxConfigBytes, maxTokenizerBytes }: SubnetConfig['limits']): number {
  return 4 * maxParameters + maxConfigBytes + maxTokenizerBytes;
}
