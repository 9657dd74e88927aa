/** @file Stake. Simplified: one TAO buys one alpha, stake stays with its hotkey, and there is no way back. */
import { toRao } from '../amounts.ts';
import { type Deed, type RuleContext, registered, requireBalance } from './context.ts';

interface Params {
  netuid: number;
  hotkey?: string | undefined;
  amount: number;
}

export function addStake(context: RuleContext, signer: string, params: Params): Deed<'addStake'> {
  const { state } = context;
  const { netuid, hotkey = signer } = params;
  const { subnet } = registered(context, netuid, hotkey);
  const amount = toRao(params.amount);
  requireBalance(context, signer, amount);
  return () => {
    state.setBalance(signer, state.balanceOf(signer) - amount);
    state.setStake(subnet, hotkey, subnet.stakeOf(hotkey) + amount);
    return {};
  };
}
