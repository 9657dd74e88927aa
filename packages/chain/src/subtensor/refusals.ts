/**
 * @file What the chain's refusals mean: dispatch errors of a block, and errors of the transaction pool, as `chain.*` codes.
 *
 * Names are those of the runtime's metadata; an error that is not listed becomes `chain.refused` with its name.
 */
import { QuasarError } from '@quasar/base';
import type { RpcRefusal } from './socket.ts';

interface Meaning {
  code: string;
  hint: string;
  retry?: 'later';
}

const NOT_REGISTERED: Meaning = { code: 'chain.not_registered', hint: 'register the hotkey on this netuid first' };
const TOO_SOON: Meaning = {
  code: 'chain.too_soon',
  hint: 'a rate limit: wait some blocks, then repeat',
  retry: 'later',
};
const NO_PERMIT: Meaning = {
  code: 'chain.no_permit',
  hint: 'add stake: permits go to the top validators by stake at the next epoch',
};
const NO_SUBNET: Meaning = { code: 'chain.no_subnet', hint: 'check the netuid' };
const NO_BALANCE: Meaning = {
  code: 'chain.insufficient_balance',
  hint: 'send TAO to the coldkey that pays, or choose a smaller amount',
};
const BAD_WEIGHTS: Meaning = {
  code: 'chain.weights_invalid',
  hint: 'read the metagraph and the hyperparameters again before setting weights',
};
const EXPIRED: Meaning = { code: 'chain.expired', hint: 'the time to reveal has passed; set weights again' };

const BY_NAME: Record<string, Meaning> = {
  HotKeyNotRegisteredInSubNet: NOT_REGISTERED,
  HotKeyNotRegisteredInNetwork: NOT_REGISTERED,
  HotKeyAccountNotExists: NOT_REGISTERED,
  HotkeyAccountDoesntExist: NOT_REGISTERED,
  AccountNotAllowedCommit: NOT_REGISTERED,
  UidNotFound: NOT_REGISTERED,
  SettingWeightsTooFast: TOO_SOON,
  CommittingWeightsTooFast: TOO_SOON,
  TooManyRegistrationsThisBlock: TOO_SOON,
  TooManyRegistrationsThisInterval: TOO_SOON,
  RevealTooEarly: TOO_SOON,
  CommitBlockNotInRevealRange: TOO_SOON,
  NeuronNoValidatorPermit: NO_PERMIT,
  NotEnoughStakeToSetWeights: NO_PERMIT,
  SubNetworkDoesNotExist: NO_SUBNET,
  SubnetNotExists: NO_SUBNET,
  SubnetDoesntExist: NO_SUBNET,
  MechanismDoesNotExist: NO_SUBNET,
  IncorrectWeightVersionKey: {
    code: 'chain.version_key',
    hint: 'the subnet asks for weights of a newer version: update',
  },
  NotEnoughBalanceToStake: NO_BALANCE,
  InsufficientBalance: NO_BALANCE,
  BalanceWithdrawalError: NO_BALANCE,
  ZeroBalanceAfterWithdrawn: NO_BALANCE,
  BalanceTooLow: NO_BALANCE,
  FundsUnavailable: NO_BALANCE,
  NotExpendable: NO_BALANCE,
  SubNetRegistrationDisabled: {
    code: 'chain.registration_closed',
    hint: 'the owner of the subnet has closed registration',
  },
  RegistrationPriceLimitExceeded: {
    code: 'chain.cost_above_limit',
    hint: 'the cost rose above the limit; allow more, or wait until it falls',
    retry: 'later',
  },
  NoNeuronIdAvailable: { code: 'chain.subnet_full', hint: 'every neuron is immune; try again later', retry: 'later' },
  TooManyUnrevealedCommits: {
    code: 'chain.too_many_commits',
    hint: 'ten commits wait for their reveal; wait for the next epoch',
    retry: 'later',
  },
  SpaceLimitExceeded: {
    code: 'chain.space_full',
    hint: 'the space for commitments of this epoch is used up; wait for the next epoch',
    retry: 'later',
  },
  DuplicateUids: BAD_WEIGHTS,
  UidVecContainInvalidOne: BAD_WEIGHTS,
  WeightVecLengthIsLow: BAD_WEIGHTS,
  WeightVecNotEqualSize: BAD_WEIGHTS,
  MaxWeightExceeded: BAD_WEIGHTS,
  UidsLengthExceedUidsInSubNet: BAD_WEIGHTS,
  ExpiredWeightCommit: EXPIRED,
  NoWeightsCommitFound: EXPIRED,
  CommitNotFound: EXPIRED,
};

/** `InvalidTransaction::Custom(n)` of subtensor's own checks. */
const CUSTOM = [
  'ColdkeyInSwapSchedule',
  'StakeAmountTooLow',
  'BalanceTooLow',
  'SubnetDoesntExist',
  'HotkeyAccountDoesntExist',
  'NotEnoughStakeToWithdraw',
  'RateLimitExceeded',
  'InsufficientLiquidity',
  'SlippageTooHigh',
  'TransferDisallowed',
  'HotKeyNotRegisteredInNetwork',
  'InvalidIpAddress',
  'ServingRateLimitExceeded',
  'InvalidPort',
  'ZeroMaxAmount',
  'InvalidRevealRound',
  'CommitNotFound',
  'CommitBlockNotInRevealRange',
  'InputLengthsUnequal',
  'UidNotFound',
];

/** The error a block reports for an extrinsic. @param error as the metadata decodes `DispatchError` */
export function dispatchRefusal(error: unknown, call: string): QuasarError {
  return named(nameOf(error), call);
}

function nameOf(error: unknown): string {
  const { type, value } = (error ?? {}) as { type?: unknown; value?: unknown };
  if (typeof type !== 'string') return 'an error without a name';
  const inner = (value as { type?: unknown } | undefined)?.type;
  if (typeof inner !== 'string') return type;
  return type === 'Module' ? nameOf(value) : inner;
}

function named(name: string, call: string): QuasarError {
  const limited = name.endsWith('RateLimitExceeded') ? TOO_SOON : undefined;
  const meaning = (Object.hasOwn(BY_NAME, name) ? BY_NAME[name] : limited) ?? {
    code: 'chain.refused',
    hint: 'the name is that of the runtime; its documentation says more',
  };
  return new QuasarError(meaning.code, `the chain refused ${call}: ${name}`, {
    hint: meaning.hint,
    ...(meaning.retry ? { retry: meaning.retry } : {}),
    data: { name },
  });
}

/** What the pool of a node says of an extrinsic that it did not take. */
export type PoolVerdict =
  /** It has these very bytes already, or had them a short while ago. */
  | { kind: 'known' }
  /** The nonce is used: by these bytes, or by others. */
  | { kind: 'stale' }
  /** Another extrinsic with this nonce waits. */
  | { kind: 'nonce_taken' }
  /** Its era is over, or its birth block is not on this node's chain. */
  | { kind: 'too_old' }
  | { kind: 'refused'; error: QuasarError };

/** Codes of `author_submitExtrinsic`: 1010 invalid, 1011 unknown validity, 1012 banned, 1013 imported, 1014 priority, 1016 full. */
export function poolVerdict(refusal: RpcRefusal, call: string): PoolVerdict {
  const detail = `${refusal.message} ${typeof refusal.data === 'string' ? refusal.data : JSON.stringify(refusal.data ?? '')}`;
  if (refusal.code === 1013 || /already imported/i.test(detail)) return { kind: 'known' };
  if (refusal.code === 1012 || /temporarily banned/i.test(detail)) return { kind: 'known' };
  if (refusal.code === 1014 || /priority is too low/i.test(detail)) return { kind: 'nonce_taken' };
  if (/outdated|\bstale\b/i.test(detail)) return { kind: 'stale' };
  if (/ancient birth block/i.test(detail)) return { kind: 'too_old' };
  const custom = /custom(?: error)?\D{0,4}(\d+)/i.exec(detail);
  if (custom) return { kind: 'refused', error: named(CUSTOM[Number(custom[1])] ?? `Custom(${custom[1]})`, call) };
  if (/inability to pay|\bpayment\b/i.test(detail))
    return { kind: 'refused', error: named('InsufficientBalance', call) };
  if (/bad signature|bad ?proof/i.test(detail)) {
    const error = new QuasarError('chain.bad_signature', `the chain refused the signature of ${call}`, {
      hint: 'a runtime upgrade may just have happened: repeat; otherwise look at the wallet',
      retry: 'later',
    });
    return { kind: 'refused', error };
  }
  if (/future|1016|pool is full|immediately dropped|exhausts/i.test(`${refusal.code} ${detail}`)) {
    const error = new QuasarError('chain.busy', `the node takes no more transactions now: ${refusal.message}`, {
      hint: 'repeat after the next block',
      retry: 'later',
    });
    return { kind: 'refused', error };
  }
  return { kind: 'refused', error: named(detail.slice(0, 200), call) };
}
