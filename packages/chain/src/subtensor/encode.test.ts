/**
 * @file Every call that the adapter sends, encoded with the metadata of the real network, and decoded again, byte for byte.
 *
 * `SUBTENSOR_METADATA` names a file of SCALE metadata of the public network (spec 365); without it this is skipped.
 * The expected bytes are written out by hand from the layout of SCALE: pallet 7 or 18, call index, arguments in order.
 */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { toHex } from '../hex.ts';
import { ss58Decode } from '../ss58.ts';
import { verifySignature, walletFromSeed } from '../wallet/index.ts';
import { commitmentField } from './commitment-field.ts';
import { mortalEra, signExtrinsic } from './extrinsic.ts';
import { Runtime } from './runtime.ts';

const path = process.env.SUBTENSOR_METADATA ?? '';
const isThere = path !== '' && existsSync(path);
if (!isThere) console.log('skipped: SUBTENSOR_METADATA names no file of SCALE metadata of the public network');

const wallet = walletFromSeed(new Uint8Array(32).fill(1));
const hotkey = wallet.address;
const account = Buffer.from(ss58Decode(hotkey)).toString('hex');
const hash = 'ab'.repeat(32);

function little(value: number | bigint, size: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes.subarray(0, size).toString('hex');
}
const u16 = (value: number) => little(value, 2);
const u64 = (value: number | bigint) => little(value, 8);
/** A vector of u16 with fewer than 64 items. */
const u16s = (...values: number[]) => little(values.length * 4, 1) + values.map(u16).join('');

const SUBTENSOR = '07';
const cases: [pallet: string, name: string, index: number, args: Record<string, unknown>, body: string][] = [
  [
    'SubtensorModule',
    'set_weights',
    0,
    { netuid: 24, dests: [0, 300], weights: [65535, 1], version_key: 7n },
    u16(24) + u16s(0, 300) + u16s(65535, 1) + u64(7),
  ],
  [
    'SubtensorModule',
    'add_stake',
    2,
    { hotkey, netuid: 24, amount_staked: 5_000_000_000n },
    account + u16(24) + u64(5_000_000_000n),
  ],
  ['SubtensorModule', 'burned_register', 7, { netuid: 24, hotkey }, u16(24) + account],
  ['SubtensorModule', 'commit_weights', 96, { netuid: 24, commit_hash: `0x${hash}` }, u16(24) + hash],
  [
    'SubtensorModule',
    'reveal_weights',
    97,
    { netuid: 24, uids: [1], values: [2], salt: [3, 4], version_key: 0n },
    u16(24) + u16s(1) + u16s(2) + u16s(3, 4) + u64(0),
  ],
  [
    'SubtensorModule',
    'commit_timelocked_weights',
    113,
    { netuid: 24, commit: new Uint8Array([1, 2, 3]), reveal_round: 1000n, commit_reveal_version: 4 },
    `${u16(24)}0c010203${u64(1000)}${u16(4)}`,
  ],
];

describe.skipIf(!isThere)('calls of the public network', () => {
  const runtime = isThere
    ? new Runtime(new Uint8Array(readFileSync(path)), {
        specName: 'node-subtensor',
        specVersion: 365,
        transactionVersion: 1,
      })
    : (null as unknown as Runtime);

  it.each(cases)('%s.%s', (pallet, name, index, args, body) => {
    const encoded = runtime.encodeCall(pallet, name, args);
    expect(Buffer.from(encoded).toString('hex')).toBe(SUBTENSOR + little(index, 1) + body);
    const decoded = runtime.decodeCall(encoded);
    expect(decoded).toEqual({ type: pallet, value: { type: name, value: args } });
  });

  it('Commitments.set_commitment, in the open and timelocked', () => {
    for (const [field, body] of [
      [commitmentField('ab'), '036162'],
      [commitmentField('a'), '0261'],
      [commitmentField('x'.repeat(128)), `81${'78'.repeat(128)}`],
      [commitmentField('x'.repeat(129)), `880502${'78'.repeat(129)}`],
      [{ type: 'TimelockEncrypted', value: { encrypted: new Uint8Array([9]), reveal_round: 5n } }, `860409${u64(5)}`],
    ] as const) {
      const encoded = runtime.encodeCall('Commitments', 'set_commitment', { netuid: 24, info: [field] });
      const hex = Buffer.from(encoded).toString('hex');
      expect(hex.slice(2)).toBe(`00${u16(24)}04${body}`);
      const again = runtime.decodeCall(encoded).value.value as { info: unknown[] };
      expect(
        Buffer.from(runtime.encodeCall('Commitments', 'set_commitment', { netuid: 24, info: again.info })),
      ).toEqual(Buffer.from(encoded));
    }
  });

  it('says what a runtime lacks', () => {
    expect(() => runtime.encodeCall('SubtensorModule', 'commit_crv3_weights', {})).toThrowError(
      expect.objectContaining({ code: 'chain.call_missing' }),
    );
    expect(() => runtime.storage('SubtensorModule', 'SubnetEpochIndex')).toThrowError(
      expect.objectContaining({ code: 'chain.call_missing' }),
    );
    expect(() => runtime.encodeCall('SubtensorModule', 'set_weights', { netuid: 24 })).toThrowError(
      expect.objectContaining({ code: 'chain.invalid_call' }),
    );
  });

  it('an extrinsic carries account, signature, era, nonce and call, and signs version and genesis', async () => {
    const call = runtime.encodeCall('SubtensorModule', 'burned_register', { netuid: 24, hotkey });
    const birth = { number: 1_000_005, hash: `0x${'cd'.repeat(32)}` };
    const genesis = `0x${'ef'.repeat(32)}`;
    let signed = new Uint8Array();
    const signer = {
      address: hotkey,
      sign(message: Uint8Array) {
        signed = new Uint8Array(message);
        return wallet.sign(message);
      },
    };
    const bytes = Buffer.from(
      await signExtrinsic(signer, call, { runtime, genesis, nonce: 70, birth, lifetimeBlocks: 64 }),
    );
    const era = Buffer.from(mortalEra(birth.number, 64)).toString('hex');
    // Era, nonce 70 as a compact number, tip 0, metadata hash mode 0.
    const extra = `${era}19010000`;
    const hex = bytes.toString('hex');
    const body = hex.slice(4);
    expect(bytes.readUInt16LE(0) >> 2).toBe(body.length / 2);
    expect(body.slice(0, 70)).toBe(`8400${account}01`.slice(0, 70));
    expect(body.endsWith(extra + toHex(call).slice(2))).toBe(true);
    const signature = bytes.subarray(2 + 35, 2 + 35 + 64);
    const expected = `${toHex(call).slice(2)}${extra}${little(365, 4)}${little(1, 4)}${'ef'.repeat(32)}${'cd'.repeat(32)}00`;
    expect(Buffer.from(signed).toString('hex')).toBe(expected);
    expect(verifySignature(hotkey, signed, signature)).toBe(true);
  });
});
