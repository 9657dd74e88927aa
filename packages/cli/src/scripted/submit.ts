/** @file What every scripted contestant does in the end: register, publish, commit; nothing twice after a restart. */
import type { Chain, Wallet } from '@quasar/chain';
import type { HubClient, PublishFile } from '@quasar/hub';
import { NETUID } from '../net-options.ts';

export interface Contestant {
  chain: Chain;
  hub: HubClient;
  wallet: Wallet;
  /** `owner/name`. */
  repo: string;
}

export interface Submitted {
  repo: string;
  revision: string;
}

/** What this hotkey has committed already; null for nothing. */
export async function earlierSubmission(
  { chain, wallet }: Pick<Contestant, 'chain' | 'wallet'>,
  netuid = NETUID,
): Promise<Submitted | null> {
  const { number } = await chain.head();
  const own = (await chain.commitments(netuid, number)).findLast((one) => one.hotkey === wallet.hotkey);
  return own === undefined ? null : readCommitment(own.data);
}

/** The payload of a commitment, `{"model", "revision"}`; null when it is something else. */
export function readCommitment(data: string): Submitted | null {
  try {
    const { model, revision } = JSON.parse(data);
    return typeof model === 'string' && typeof revision === 'string' ? { repo: model, revision } : null;
  } catch {
    return null;
  }
}

/** Publishing the same files again gives the same revision, so an interrupted run may simply repeat. */
export async function submit(contestant: Contestant, files: readonly PublishFile[]): Promise<Submitted> {
  const { chain, hub, wallet, repo } = contestant;
  await chain.register(wallet, NETUID);
  const { revision } = await hub.publish(repo, files);
  await chain.commit(wallet, NETUID, JSON.stringify({ model: repo, revision }));
  return { repo, revision };
}
