/** @file The chain as `doctor` sees it: does it answer, which one is it, is the hotkey ready to work. */
import { type Isolation, QuasarError } from '@quasar/base';
import type { Chain } from '@quasar/chain';

export interface ChainReport {
  address: string;
  /** Null when nothing answers; then `error` says why. */
  state: ChainState | null;
  error: { code: string; message: string; hint: string | undefined } | null;
  signer: { isIsolated: boolean; why: string };
}

export interface ChainState {
  /** Of one answer. */
  latencyMs: number;
  network: string;
  specName: string;
  specVersion: number;
  head: number;
  blockTimeMs: number;
  netuid: number;
  nextEpochBlock: number;
  commitRevealEnabled: boolean;
  pendingWeights: number;
  /** Null when no wallet was named. */
  hotkey: {
    address: string;
    uid: number | null;
    validatorPermit: boolean;
    stake: number;
    lastUpdateBlock: number | null;
  } | null;
}

/** @param hotkeyOf the hotkey to look for on this chain, or null */
export async function examineChain(
  chain: Chain,
  address: string,
  netuid: number,
  isolation: Isolation,
  hotkeyOf: (() => Promise<string>) | null,
): Promise<ChainReport> {
  const signer = { isIsolated: isolation.isIsolated, why: isolation.why };
  try {
    return { address, state: await stateOf(chain, netuid, hotkeyOf), error: null, signer };
  } catch (error) {
    if (!(error instanceof QuasarError)) throw error;
    const { code, message, hint } = error;
    return { address, state: null, error: { code, message, hint }, signer };
  }
}

async function stateOf(chain: Chain, netuid: number, hotkeyOf: (() => Promise<string>) | null): Promise<ChainState> {
  const { network, specName, specVersion } = await chain.identity();
  const askedAtMs = performance.now();
  const head = await chain.head();
  const latencyMs = Math.round(performance.now() - askedAtMs);
  const [blockTimeMs, { neurons }, rules, nextEpochBlock, pending] = await Promise.all([
    chain.blockTimeMs(),
    chain.metagraph(netuid),
    chain.hyperparameters(netuid),
    chain.nextEpochBlock(netuid),
    chain.pendingWeights(netuid),
  ]);
  const hotkey = hotkeyOf === null ? null : await hotkeyOf();
  const neuron = neurons.find((one) => one.hotkey === hotkey);
  return {
    latencyMs,
    network,
    specName,
    specVersion,
    head: head.number,
    blockTimeMs,
    netuid,
    nextEpochBlock,
    commitRevealEnabled: rules.commitRevealEnabled,
    pendingWeights: pending.filter((one) => hotkey === null || one.hotkey === hotkey).length,
    hotkey:
      hotkey === null
        ? null
        : {
            address: hotkey,
            uid: neuron?.uid ?? null,
            validatorPermit: neuron?.validatorPermit ?? false,
            stake: neuron?.stake ?? 0,
            lastUpdateBlock: neuron?.lastUpdateBlock ?? null,
          },
  };
}
