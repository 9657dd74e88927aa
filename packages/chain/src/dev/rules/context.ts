/** @file What every rule of the ledger has at hand: the state, the options, and the refusals that several rules share. */
import { QuasarError } from '@quasar/base';
import type { LocalBeacon } from '../../timelock/index.ts';
import { toTao } from '../amounts.ts';
import type { Call, CallResults } from '../call.ts';
import type { ResolvedOptions } from '../options.ts';
import type { NeuronState, State, SubnetState } from '../state.ts';

export interface RuleContext {
  state: State;
  options: ResolvedOptions;
  /** Signs round n in block n. */
  beacon(): LocalBeacon;
}

/** What an accepted call does. Runs at once after its checks. */
export type Deed<M extends Call['method']> = () => CallResults[M];

export interface Registered {
  subnet: SubnetState;
  uid: number;
  neuron: NeuronState;
}

/** Throws `chain.not_registered`. */
export function registered({ state }: RuleContext, netuid: number, hotkey: string): Registered {
  const subnet = state.subnet(netuid);
  const uid = subnet?.uids.get(hotkey);
  if (subnet && uid !== undefined) return { subnet, uid, neuron: subnet.neurons[uid] as NeuronState };
  throw new QuasarError('chain.not_registered', `hotkey ${hotkey} is not registered on netuid ${netuid}`, {
    hint: 'register first',
  });
}

/** Throws `chain.insufficient_balance`. @param needed rao */
export function requireBalance({ state }: RuleContext, address: string, needed: bigint): void {
  const balance = state.balanceOf(address);
  if (balance >= needed) return;
  const message = `${address} has ${toTao(balance)} TAO, the call needs ${toTao(needed)}`;
  throw new QuasarError('chain.insufficient_balance', message, {
    hint: 'send less, or use an account that has more',
    data: { balance: toTao(balance), needed: toTao(needed) },
  });
}

export function tooSoon(why: string, retryAtBlock: number): QuasarError {
  return new QuasarError('chain.too_soon', `too soon: ${why}; the next is accepted in block ${retryAtBlock}`, {
    hint: `wait for block ${retryAtBlock}`,
    retry: 'later',
    data: { retryAtBlock },
  });
}

/** @param name what subtensor calls the reason */
export function refused(name: string, message: string, hint: string): QuasarError {
  return new QuasarError('chain.refused', message, { hint, data: { name } });
}
