/** @file What the dev chain answers to each read, from its state at the head and from what past blocks left. */
import { canonicalJson } from '@quasar/base';
import { toHex } from '../hex.ts';
import type { Preview } from '../port.ts';
import type { LocalBeacon } from '../timelock/index.ts';
import { toTao } from './amounts.ts';
import type { Blocks } from './blocks.ts';
import { checkCall } from './call.ts';
import type { Ledger } from './ledger.ts';
import { hyperparametersOf, type ResolvedOptions } from './options.ts';
import type { Queries } from './queries.ts';
import type { Request, RequestParams, RequestResults, WeightsPlan } from './requests.ts';
import type { State } from './state.ts';

/** Of the rules of the dev chain; grows when they change. */
const SPEC_VERSION = 1;

export type Answers = { [R in Request]: (params: RequestParams[R]) => RequestResults[R] };

export interface Sources {
  rules: ResolvedOptions;
  queries: Queries;
  state: State;
  ledger: Ledger;
  blocks: Blocks;
  beacon(): LocalBeacon;
}

export function answersOf(sources: Sources): Answers {
  const { rules, queries, state, ledger, blocks, beacon } = sources;
  const upToHead = (block = blocks.head.number) => Math.min(block, blocks.head.number);
  return {
    identity: () => ({ network: 'dev', genesis: blocks.genesis, specName: 'quasar-dev', specVersion: SPEC_VERSION }),
    head: () => blocks.head,
    blockTimeMs: () => rules.blockTimeMs,
    blockHash: ({ block }) => queries.hash(block),
    metagraph: ({ netuid, atBlock }) => queries.metagraph(netuid, upToHead(atBlock)),
    hyperparameters: () => hyperparametersOf(rules),
    nextEpochBlock: ({ netuid }) => ledger.nextEpochBlock(netuid, blocks.head.number),
    registrationCost: ({ netuid }) => toTao(ledger.registrationCost(netuid, blocks.head.number + 1)),
    balance: ({ address }) => toTao(state.balanceOf(address)),
    commitments: ({ netuid, atBlock }) => queries.commitments(netuid, upToHead(atBlock)),
    weights: ({ netuid, atBlock }) => queries.weights(netuid, upToHead(atBlock)),
    pendingWeights: ({ netuid }) => ledger.pendingWeights(netuid),
    weightsPlan: ({ netuid, hotkey }) => weightsPlan(sources, netuid, hotkey),
    beacon: () => ({ publicKey: toHex(beacon().publicKey), blocksUntilReveal: rules.blocksUntilReveal }),
    preview: ({ address, call }) => preview(sources, address, call),
  };
}

function weightsPlan({ rules, state, ledger, blocks }: Sources, netuid: number, hotkey: string): WeightsPlan {
  const { commitReveal, weightsVersionKey, minAllowedWeights, tempo, revealPeriodEpochs } = rules;
  const subnet = state.subnet(netuid);
  const head = blocks.head.number;
  return {
    kind: commitReveal === 'off' ? 'plain' : commitReveal,
    versionKey: weightsVersionKey,
    size: subnet?.neurons.length ?? 0,
    uid: subnet?.uids.get(hotkey) ?? null,
    minAllowedWeights,
    head,
    nextEpochBlock: ledger.nextEpochBlock(netuid, head),
    tempo,
    revealPeriodEpochs,
  };
}

/** The checks of the next block, without what is due at its start. */
function preview({ ledger, blocks }: Sources, address: string, untrusted: unknown): Preview {
  const call = checkCall(untrusted);
  ledger.plan(address, call, blocks.head.number + 1);
  const encoded = `0x${Buffer.from(canonicalJson(call)).toString('hex')}`;
  return { call: `dev.${call.method}`, arguments: call.params, encoded, fee: 0, signer: address };
}
