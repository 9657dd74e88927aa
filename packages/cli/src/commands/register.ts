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
  /** More than this is not paid, whatever the price is by then. Null: no limit. */
  limit: number | null;
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
          const uid = await carryOut(chain, keys, plan, context.note);
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
  // What a coldkey agrees to is what was shown.
  const limit = maxCost ?? (keys.coldkey === null ? null : cost);
  const place: Call = { method: 'register', params: { netuid, hotkey, ...(limit === null ? {} : { maxCost: limit }) } };
  const extrinsics = uid === null ? [await chain.preview(payer, place)] : [];
  // A chain checks a stake against a registered hotkey, so for a new one this can be shown only afterwards.
  if (stake > 0 && uid !== null) extrinsics.push(await chain.preview(payer, stakeCall({ netuid, hotkey, stake })));
  return {
    network,
    netuid,
    hotkey,
    payer,
    payerKind: keys.coldkey === null ? 'hotkey' : 'coldkey',
    uid,
    cost,
    limit,
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

async function carryOut(chain: Chain, keys: Keys, plan: Plan, note: (line: string) => void): Promise<number> {
  const { netuid, uid, payer, stake, limit } = plan;
  if (uid !== null && stake === 0) return uid;
  const coldkey = (await keys.openColdkey()) ?? undefined;
  // Where the coldkey signs, the hotkey is only named.
  const wallet = coldkey === undefined ? await keys.openHotkey() : addressOnly(plan.hotkey);
  const registered = uid ?? (await chain.register(wallet, netuid, { coldkey, maxCost: limit ?? undefined })).uid;
  if (stake > 0) {
    if (uid === null) note(record(extrinsicFields(await chain.preview(payer, stakeCall(plan)))));
    await chain.addStake(wallet, netuid, stake, { coldkey });
  }
  return registered;
}

function stakeCall({ netuid, hotkey, stake }: Pick<Plan, 'netuid' | 'hotkey' | 'stake'>): Call {
  return { method: 'addStake', params: { netuid, hotkey, amount: stake } };
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
  const { network, netuid, hotkey, payer, payerKind, uid, cost, limit, stake, balance } = plan;
  const fields: Record<string, string> = {
    network: `${network}, subnet ${netuid}`,
    hotkey: uid === null ? hotkey : `${hotkey}, registered already as uid ${uid}`,
    cost: uid !== null ? 'nothing' : `${tao(cost)}${limit === null || limit === cost ? '' : `, at most ${tao(limit)}`}`,
    ...(stake > 0 ? { stake: tao(stake) } : {}),
    'paid by': `${payer}, its ${payerKind}${payerKind === 'hotkey' ? ' account' : ''}, which has ${tao(balance)}`,
  };
  return [record(fields), ...plan.extrinsics.map((one) => record(extrinsicFields(one)))].join('\n');
}

function extrinsicFields({ call, encoded, fee }: Preview): Record<string, string> {
  return { extrinsic: `${call}, fee ${fee === null ? 'unknown' : tao(fee)}`, encoded };
}

function amount(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0 && value <= 21e6) return value;
  throw new InvalidArgumentError('Expected TAO, a number above 0.');
}
