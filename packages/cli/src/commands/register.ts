/** @file `quasar register`: a hotkey's place on the subnet. Shows the extrinsic, the cost and who pays before anything is signed. */
import { QuasarError } from '@quasar/base';
import type { Call, Chain, Preview, Wallet } from '@quasar/chain';
import { Command, InvalidArgumentError } from 'commander';
import { withChainOptions, withNetuid } from '../net-options.ts';
import { tao } from '../ui/bar.ts';
import { confirm } from '../ui/prompt.ts';
import { record } from '../ui/table.ts';
import { type Keys, keysOf, type WalletOptions, withWalletOptions } from '../wallet-options.ts';
import { withChain } from '../with-chain.ts';

interface RegisterFlags extends WalletOptions {
  netuid: number;
  stake?: number;
  maxCost?: number;
  dryRun?: true;
  yes?: true;
}

/** What will be signed, as it is shown before. */
interface Plan {
  network: string;
  netuid: number;
  hotkey: string;
  payer: string;
  payerKind: 'coldkey' | 'hotkey';
  /** Null: registered already. */
  uid: number | null;
  /** TAO. */
  cost: number;
  stake: number;
  balance: number;
  extrinsics: Preview[];
}

export function register(): Command {
  return withNetuid(withWalletOptions(withChainOptions(new Command('register'))))
    .description('Register a hotkey on the subnet; shows cost, extrinsic and payer first.')
    .option('--stake <tao>', 'TAO to stake to it as well; a validator needs some', amount)
    .option('--max-cost <tao>', 'refuse to pay more for the registration', amount)
    .option('--dry-run', 'show what would be signed, and stop')
    .option('--yes', 'do not ask before the coldkey signs')
    .action((options: RegisterFlags, command: Command) =>
      withChain(options, command, async ({ chain, context, home }) => {
        const keys = await keysOf(chain, options, context, home);
        try {
          const plan = await makePlan(chain, keys, options);
          if (options.dryRun) return context.result({ dryRun: true, ...plan }, () => describe(plan));
          context.note(describe(plan));
          await requireConsent(plan, options);
          const uid = await carryOut(chain, keys, plan, options);
          const { hotkey, netuid } = plan;
          context.result(
            { name: options.name, hotkey, netuid, uid },
            `${options.name} is uid ${uid} on subnet ${netuid}, ${hotkey}`,
          );
        } finally {
          await keys.close();
        }
      }),
    );
}

async function makePlan(chain: Chain, keys: Keys, { netuid, stake = 0, maxCost }: RegisterFlags): Promise<Plan> {
  const payer = keys.coldkey ?? keys.hotkey;
  const { hotkey } = keys;
  const [{ network }, { neurons }, price, balance] = await Promise.all([
    chain.identity(),
    chain.metagraph(netuid),
    chain.registrationCost(netuid),
    chain.balance(payer),
  ]);
  const uid = neurons.find((neuron) => neuron.hotkey === hotkey)?.uid ?? null;
  const cost = uid === null ? price : 0;
  if (maxCost !== undefined && cost > maxCost) {
    throw new QuasarError('chain.cost_above_limit', `a registration costs ${tao(cost)}, more than ${tao(maxCost)}`, {
      hint: 'the cost falls while nobody registers; wait, or raise --max-cost; nothing was signed',
      retry: 'later',
    });
  }
  const calls: Call[] =
    uid === null
      ? [{ method: 'register', params: { netuid, hotkey, ...(maxCost === undefined ? {} : { maxCost }) } }]
      : [];
  const extrinsics = await Promise.all(calls.map((call) => chain.preview(payer, call)));
  // A chain checks a stake against a registered hotkey, so this one can be shown in full only afterwards.
  if (stake > 0 && uid !== null)
    extrinsics.push(await chain.preview(payer, { method: 'addStake', params: { netuid, hotkey, amount: stake } }));
  return {
    network,
    netuid,
    hotkey,
    payer,
    payerKind: keys.coldkey === null ? 'hotkey' : 'coldkey',
    uid,
    cost,
    stake,
    balance,
    extrinsics,
  };
}

async function requireConsent(plan: Plan, { yes }: RegisterFlags): Promise<void> {
  const total = plan.cost + plan.stake;
  if (plan.payerKind === 'hotkey' || yes || total === 0) return;
  if (await confirm(`Sign with the coldkey and pay ${tao(total)}?`)) return;
  throw new QuasarError('usage.cancelled', 'cancelled', { hint: 'nothing was written or signed' });
}

async function carryOut(chain: Chain, keys: Keys, plan: Plan, { stake, maxCost }: RegisterFlags): Promise<number> {
  const { netuid, uid } = plan;
  if (uid !== null && stake === undefined) return uid;
  const coldkey = (await keys.openColdkey()) ?? undefined;
  // Where the coldkey signs, the hotkey is only named.
  const wallet = coldkey === undefined ? await keys.openHotkey() : addressOnly(plan.hotkey);
  const registered = uid ?? (await chain.register(wallet, netuid, { coldkey, maxCost })).uid;
  if (stake !== undefined) await chain.addStake(wallet, netuid, stake, { coldkey });
  return registered;
}

function addressOnly(address: string): Wallet {
  return {
    address,
    hotkey: address,
    sign() {
      throw new Error('a coldkey pays for this call, and the hotkey was asked to sign');
    },
  };
}

function describe(plan: Plan): string {
  const { network, netuid, hotkey, payer, payerKind, uid, cost, stake, balance } = plan;
  const fields: Record<string, string> = {
    network: `${network}, subnet ${netuid}`,
    hotkey: uid === null ? hotkey : `${hotkey}, registered already as uid ${uid}`,
    cost: uid === null ? tao(cost) : 'nothing',
    ...(stake > 0 ? { stake: tao(stake) } : {}),
    'paid by': `${payer}, its ${payerKind}${payerKind === 'hotkey' ? ' account' : ''}, which has ${tao(balance)}`,
  };
  for (const { call, encoded, fee } of plan.extrinsics) {
    fields.extrinsic = `${call}, fee ${fee === null ? 'unknown' : tao(fee)}`;
    fields.encoded = encoded;
  }
  return record(fields);
}

function amount(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0 && value <= 21e6) return value;
  throw new InvalidArgumentError('Expected TAO, a number above 0.');
}
