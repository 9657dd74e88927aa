/**
 * @file Registration: what it costs, which uid it gives, and who has to go when all are taken.
 *
 * Source: subtensor `subnets/registration.rs` and `subnets/uids.rs`, spec 425. Cost: each registration multiplies it by
 * `burnIncrease`, every `burnHalfLifeBlocks` blocks halve it, within `minBurn` and `maxBurn`. Simplified: the decay is
 * 2^(-blocks / half life) in one step, not rounded per block; the burned TAO buys no alpha.
 */
import { QuasarError } from '@quasar/base';
import { toRao, toTao } from '../amounts.ts';
import type { NeuronState, SubnetState } from '../state.ts';
import { type Deed, type RuleContext, refused, requireBalance } from './context.ts';

interface Params {
  netuid: number;
  hotkey?: string | undefined;
  maxCost?: number | undefined;
}

export function register(context: RuleContext, signer: string, params: Params, block: number): Deed<'register'> {
  const { state, options } = context;
  const { netuid, hotkey = signer, maxCost } = params;
  const known = state.subnet(netuid)?.uids.get(hotkey);
  if (known !== undefined) return () => ({ uid: known });
  if (!options.registrationAllowed) {
    throw new QuasarError('chain.registration_closed', `netuid ${netuid} takes no registrations`, {
      hint: 'choose another subnet, or ask its owner',
    });
  }
  const owner = state.ownerOf(hotkey);
  if (owner !== null && owner !== signer) {
    const message = `hotkey ${hotkey} belongs to coldkey ${owner}, not to ${signer}`;
    throw refused('NonAssociatedColdKey', message, 'register with the coldkey that owns the hotkey');
  }
  const cost = registrationCost(context, netuid, block);
  if (maxCost !== undefined && toTao(cost) > maxCost) {
    throw new QuasarError(
      'chain.cost_above_limit',
      `a registration costs ${toTao(cost)} TAO, the limit is ${maxCost}`,
      {
        hint: 'wait until the cost has fallen, or raise the limit',
        retry: 'later',
        data: { cost: toTao(cost) },
      },
    );
  }
  requireBalance(context, signer, cost);
  const uid = freeUid(context, state.subnet(netuid), block);
  return () => {
    const subnet =
      state.subnet(netuid) ?? state.createSubnet(netuid, { lastEpoch: block, epochIndex: 0, burn: 0, burnAt: block });
    if (subnet.neurons[uid]) clearNeuron(context, subnet, uid, block);
    state.setBalance(signer, state.balanceOf(signer) - cost);
    state.setOwner(hotkey, signer);
    state.setNeuron(subnet, uid, newNeuron(hotkey, signer, block));
    subnet.schedule.burn = Number(cost) * options.burnIncrease;
    subnet.schedule.burnAt = block;
    state.touchSchedule(subnet);
    return { uid };
  };
}

/** Rao that a registration in `block` burns. */
export function registrationCost({ state, options }: RuleContext, netuid: number, block: number): bigint {
  const subnet = state.subnet(netuid);
  const clamp = (tao: number) => toRao(Math.min(Math.max(tao, options.minBurn), options.maxBurn));
  if (!subnet) return clamp(options.initialBurn);
  const { burn, burnAt } = subnet.schedule;
  return clamp((burn / 1e9) * 2 ** (-(block - burnAt) / options.burnHalfLifeBlocks));
}

/** The next uid, or that of the neuron that goes: least emission, longest there; one within its immunity only if all are. */
function freeUid({ options }: RuleContext, subnet: SubnetState | null, block: number): number {
  const neurons = subnet?.neurons ?? [];
  if (neurons.length < options.maxUids) return neurons.length;
  const candidates = neurons
    .map((neuron, uid) => ({ uid, neuron, isImmune: block - neuron.registeredAt < options.immunityPeriodBlocks }))
    .filter(({ neuron }) => neuron.hotkey !== options.subnetOwner)
    .sort(
      (a, b) =>
        Number(a.isImmune) - Number(b.isImmune) ||
        Number(a.neuron.emission - b.neuron.emission) ||
        a.neuron.registeredAt - b.neuron.registeredAt ||
        a.uid - b.uid,
    );
  const [worst] = candidates;
  if (worst) return worst.uid;
  throw new QuasarError('chain.subnet_full', `netuid ${subnet?.netuid} has all its ${options.maxUids} uids taken`, {
    hint: 'no neuron of it may be replaced',
  });
}

/** Nothing of the old neuron counts under the new hotkey: not its weights, nor weights for it, nor bonds. */
function clearNeuron({ state }: RuleContext, subnet: SubnetState, uid: number, block: number): void {
  for (const [validator, row] of subnet.weights) {
    if (validator === uid) {
      state.setWeights(subnet, uid, { setAt: block, uids: [], values: [] });
    } else if (row.uids.includes(uid)) {
      const values = row.values.map((value, i) => (row.uids[i] === uid ? 0 : value));
      state.setWeights(subnet, validator, { ...row, values });
    }
  }
  if (subnet.bonds[uid]?.length) {
    state.setBonds(
      subnet,
      subnet.bonds.map((row, validator) => (validator === uid ? [] : row)),
    );
  }
}

function newNeuron(hotkey: string, coldkey: string, block: number): NeuronState {
  return {
    hotkey,
    coldkey,
    registeredAt: block,
    lastUpdate: block,
    active: true,
    permit: false,
    incentive: 0,
    dividends: 0,
    consensus: 0,
    validatorTrust: 0,
    emission: 0n,
  };
}
