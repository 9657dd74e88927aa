/** @file Groups 1 to 6: bring-up, hyperparameters by sudo, networks, registrations in bulk, stake, axons, and preview. */
import { afterAll, describe, expect, it } from 'vitest';
import { connectChain } from '../packages/chain/src/connect.ts';
import type { Wallet } from '../packages/chain/src/port.ts';
import { SubtensorChain } from '../packages/chain/src/subtensor/subtensor-chain.ts';
import { expectCode } from '../packages/chain/src/testing/expect-code.ts';
import { addedNetuid, Harness, sudoer } from './support/harness.ts';
import { interceptingProxy } from './support/proxies.ts';

const PALLET = 'SubtensorModule';
const REGISTRATIONS = 20;

describe('the runtime', () => {
  const harness = new Harness();
  const { chain } = harness;
  afterAll(() => harness.close());

  it('is found by asking at its address, and refused under the name of another network', async () => {
    const asked = connectChain(harness.url);
    expect(await asked.identity()).toEqual(await chain.identity());
    expect((await asked.identity()).specName).toBe('node-subtensor');
    await asked.close();
    const genesis = `0x${'12'.repeat(32)}`;
    const elsewhere = new SubtensorChain({ urls: [harness.url], genesis });
    await expectCode(elsewhere.head(), 'chain.wrong_network');
    elsewhere.close();
    const other = new SubtensorChain({ urls: [harness.url], specName: 'node-other' });
    await expectCode(other.head(), 'chain.wrong_network');
    other.close();
  });

  it('goes on with the second node when the first is not there', async () => {
    const both = new SubtensorChain({ urls: ['ws://127.0.0.1:9', harness.url] });
    expect(await both.head()).toEqual(await chain.head());
    const [dead, alive] = both.health();
    expect(dead?.failures).toBeGreaterThan(0);
    expect(alive).toMatchObject({ connected: true, failures: 0 });
    both.close();
    const none = new SubtensorChain({ urls: ['ws://127.0.0.1:9'], patienceMs: 300 });
    const error = await expectCode(none.head(), 'chain.unreachable');
    expect(error.retry).toBe('later');
    none.close();
    await expectCode(none.head(), 'chain.closed');
  });

  it('takes hyperparameters by sudo, and tells them', async () => {
    const netuid = 1;
    await harness.configure(netuid, {
      weights_set_rate_limit: 17n,
      min_allowed_weights: 3,
      tempo: 99,
      kappa: 13107,
      commit_reveal_weights_enabled: true,
      commit_reveal_weights_interval: 2n,
      bonds_penalty: 32768,
      yuma3_enabled: true,
      max_allowed_validators: 12,
      weights_version_key: 5n,
    });
    expect(await chain.hyperparameters(netuid)).toMatchObject({
      weightsRateLimitBlocks: 17,
      minAllowedWeights: 3,
      tempo: 99,
      kappa: 13107 / 65535,
      commitRevealEnabled: true,
      revealPeriodEpochs: 2,
      bondsPenalty: 32768 / 65535,
      yumaVersion: 3,
      maxValidators: 12,
      weightsVersionKey: 5,
    });
    await expectCode(chain.hyperparameters(3999), 'chain.no_subnet');
    await expectCode(chain.nextEpochBlock(3999), 'chain.no_subnet');
    await expectCode(chain.registrationCost(3999), 'chain.no_subnet');
  });

  it('names the refusals of networks', async () => {
    const [fresh, owned, other] = (await harness.wallets(3)) as [Wallet, Wallet, Wallet];
    const network = (hotkey: Wallet) => ({
      pallet: PALLET,
      name: 'register_network',
      args: { hotkey: hotkey.address },
    });
    await harness.write([PALLET, 'Owner', [owned.address], other.address], [PALLET, 'NetworkRateLimit', [], 0n]);
    const stolen = await expectCode(harness.send(sudoer, network(owned)), 'chain.refused');
    expect(stolen.data).toEqual({ name: 'NonAssociatedColdKey' });
    const { events } = await harness.send(sudoer, network(fresh));
    const netuid = addedNetuid(events);
    await harness.write([PALLET, 'NetworkRateLimit', [], 1000n]);
    await expectCode(harness.send(sudoer, network(fresh)), 'chain.too_soon');
    const start = { pallet: PALLET, name: 'start_call', args: { netuid } };
    const early = await expectCode(harness.send(sudoer, start), 'chain.refused');
    expect(early.data).toEqual({ name: 'NeedWaitingMoreBlocksToStarCall' });
    const notMine = await expectCode(harness.send(other, start), 'chain.refused');
    expect(notMine.data).toEqual({ name: 'BadOrigin' });
    await harness.jumpTo((await chain.head()).number + 7 * 7200 + 1);
    await harness.send(sudoer, start);
  });

  it(`registers ${REGISTRATIONS} hotkeys in few blocks, with dense uids`, async () => {
    const { netuid } = await harness.subnet();
    const wallets = await harness.wallets(REGISTRATIONS);
    const { number } = await chain.head();
    const cost = await chain.registrationCost(netuid);
    expect(cost).toBeGreaterThan(0);
    await expectCode(chain.register(wallets[0] as Wallet, netuid, { maxCost: cost / 2 }), 'chain.cost_above_limit');
    const given = await Promise.all(wallets.map((wallet) => chain.register(wallet, netuid)));
    expect(given.map(({ uid }) => uid).sort((a, b) => a - b)).toEqual(wallets.map((_, i) => i + 1));
    expect((await chain.head()).number - number).toBeLessThan(REGISTRATIONS);
    const state = await harness.state();
    for (const [i, { uid }] of given.entries()) {
      expect(await state.get(PALLET, 'Keys', netuid, uid)).toBe(wallets[i]?.address);
    }
    await harness.rules(netuid, { NetworkRegistrationAllowed: false });
    const [late, poor] = (await harness.wallets(2)) as [Wallet, Wallet];
    await expectCode(chain.register(late, netuid), 'chain.registration_closed');
    await harness.rules(netuid, { NetworkRegistrationAllowed: true });
    const account = {
      nonce: 0,
      consumers: 0,
      providers: 1,
      sufficients: 0,
      data: { free: 1000n, reserved: 0n, frozen: 0n, flags: 0n },
    };
    await harness.write(['System', 'Account', [poor.address], account]);
    await expectCode(chain.register(poor, netuid), 'chain.insufficient_balance');
  });

  it('stakes, says why the pool refuses too much, and serves an axon', async () => {
    const { netuid } = await harness.subnet();
    const [wallet] = (await harness.wallets(1, 900_000n)) as [Wallet];
    const { uid } = await chain.register(wallet, netuid);
    await chain.addStake(wallet, netuid, 100);
    expect((await chain.metagraph(netuid)).neurons[uid]?.stake).toBeGreaterThan(1);
    const axon = {
      netuid,
      version: 1,
      ip: 16909060n,
      port: 8080,
      ip_type: 4,
      protocol: 4,
      placeholder1: 0,
      placeholder2: 0,
    };
    await harness.send(wallet, { pallet: PALLET, name: 'serve_axon', args: axon });
    const { netuid: _, ...fields } = axon;
    expect(await (await harness.state()).get(PALLET, 'Axons', netuid, wallet.address)).toMatchObject(fields);
    await expectCode(chain.register(wallet, 3998), 'chain.no_subnet');
  });

  it('reads the same where the metadata describes no runtime APIs', async () => {
    const proxy = await interceptingProxy(harness.url, async ({ id, method, params }) => {
      if (method !== 'state_call') return null;
      const error = { code: -32000, message: `${params[0]} is not here` };
      return JSON.stringify({ jsonrpc: '2.0', id, error });
    });
    const plain = new SubtensorChain({ urls: [proxy.url] });
    const { netuid } = await harness.subnet({ Tempo: 5 });
    const [wallet] = (await harness.wallets(1)) as [Wallet];
    await chain.register(wallet, netuid);
    await chain.addStake(wallet, netuid, 50);
    await harness.advance(6);
    const expected = await chain.metagraph(netuid);
    expect(expected.neurons[1]).toMatchObject({ hotkey: wallet.hotkey, validatorPermit: true });
    expect(await plain.metagraph(netuid)).toEqual(expected);
    expect(await plain.blockTimeMs()).toBe(await chain.blockTimeMs());
    expect(await plain.nextEpochBlock(netuid)).toBe(await chain.nextEpochBlock(netuid));
    const preview = await plain.preview(wallet.address, { method: 'addStake', params: { netuid, amount: 1 } });
    expect(preview).toMatchObject({ call: 'SubtensorModule.add_stake', fee: null });
    plain.close();
    proxy.close();
  });

  it('previews calls with their bytes and their fee', async () => {
    const { netuid } = await harness.subnet();
    const [wallet, stranger] = (await harness.wallets(2)) as [Wallet, Wallet];
    await chain.register(wallet, netuid);
    const stake = await chain.preview(wallet.address, { method: 'addStake', params: { netuid, amount: 2 } });
    expect(stake).toMatchObject({
      call: 'SubtensorModule.add_stake',
      arguments: { hotkey: wallet.hotkey, netuid, amount_staked: 2e9 },
      signer: wallet.address,
    });
    expect(stake.encoded.slice(0, 6)).toBe('0x0702');
    expect(stake.fee).toBeGreaterThanOrEqual(0);
    const text = { method: 'commit', params: { netuid, data: 'hello', blocksUntilReveal: 0 } } as const;
    expect(await chain.preview(wallet.address, text)).toMatchObject({ call: 'Commitments.set_commitment', fee: 0 });
    await expectCode(chain.preview(stranger.address, text), 'chain.not_registered');
    const again = { method: 'register', params: { netuid } } as const;
    await expectCode(chain.preview(wallet.address, again), 'chain.already_registered');
  });
});
