/** @file The reads of the dev chain: their parameters, checked alike in process and from the wire, and their results. */
import { QuasarError } from '@quasar/base';
import { z } from 'zod';
import type {
  ChainIdentity,
  Commitment,
  Head,
  Hyperparameters,
  Metagraph,
  PendingWeights,
  Preview,
  WeightRow,
  WeightsReceipt,
} from '../port.ts';
import { isSs58 } from '../ss58.ts';

const block = z.int().min(0);
const netuid = z.int().min(0).max(65535);
const address = z.string().max(64).refine(isSs58, 'not an ss58 address with prefix 42');
const none = z.strictObject({});

const schemas = {
  identity: none,
  head: none,
  blockTimeMs: none,
  blockHash: z.strictObject({ block }),
  metagraph: z.strictObject({ netuid, atBlock: block.optional() }),
  hyperparameters: z.strictObject({ netuid }),
  nextEpochBlock: z.strictObject({ netuid }),
  registrationCost: z.strictObject({ netuid }),
  balance: z.strictObject({ address }),
  commitments: z.strictObject({ netuid, atBlock: block }),
  weights: z.strictObject({ netuid, atBlock: block }),
  pendingWeights: z.strictObject({ netuid }),
  weightsPlan: z.strictObject({ netuid, hotkey: address }),
  beacon: none,
  preview: z.strictObject({ address, call: z.unknown() }),
};

export type Request = keyof typeof schemas;
export type RequestParams = { [R in Request]: z.infer<(typeof schemas)[R]> };

/** What a validator must know to send weights in the form that the chain takes. */
export interface WeightsPlan {
  kind: WeightsReceipt['kind'];
  versionKey: number;
  /** Number of neurons. */
  size: number;
  /** Of the hotkey that asks. */
  uid: number | null;
  minAllowedWeights: number;
  head: number;
  nextEpochBlock: number;
  tempo: number;
  revealPeriodEpochs: number;
}

/** Something that happened on a subnet and left no other trace. */
export interface ChainEvent {
  block: number;
  kind: string;
  hotkey: string;
  detail: string;
}

export interface RequestResults {
  identity: ChainIdentity;
  head: Head;
  blockTimeMs: number;
  blockHash: string | null;
  metagraph: Metagraph;
  hyperparameters: Hyperparameters;
  nextEpochBlock: number;
  registrationCost: number;
  balance: number;
  commitments: Commitment[];
  weights: WeightRow[];
  pendingWeights: PendingWeights[];
  weightsPlan: WeightsPlan;
  /** The chain's beacon signs round n in block n. Blocks that a commitment stays locked where its call does not say. */
  beacon: { publicKey: string; blocksUntilReveal: number };
  preview: Preview;
}

export function isRequest(method: string): method is Request {
  return Object.hasOwn(schemas, method);
}

/** Throws `chain.invalid_call` naming every wrong parameter. */
export function checkParams<R extends Request>(request: R, params: unknown): RequestParams[R] {
  const parsed = schemas[request].safeParse(params);
  if (parsed.success) return parsed.data as RequestParams[R];
  const issues = parsed.error.issues.map((issue) => `${issue.path.join('/') || 'params'}: ${issue.message}`);
  throw new QuasarError('chain.invalid_call', `${request}: ${issues.join('; ')}`, {
    hint: 'correct the parameters',
  });
}
