/** @file With `SUBTENSOR_METADATA`, every default that the metadata of the public network has is walked as well. */
import { existsSync, readFileSync } from 'node:fs';
import { hexToBytes } from '@noble/hashes/utils.js';
import { getDynamicBuilder, getLookupFn, type LookupEntry, type Var } from '@polkadot-api/metadata-builders';
import { decAnyMetadata, unifyMetadata } from '@polkadot-api/substrate-bindings';
import { describe, expect, it } from 'vitest';
import { Runtime } from './runtime.ts';
import { requireShape } from './shape.ts';

const as = (type: Var): LookupEntry => ({ id: 0, ...type }) as LookupEntry;
const primitive = (value: string) => as({ type: 'primitive', value } as Var);
const u8 = primitive('u8');
const u16 = primitive('u16');
const innerDocs = {} as never;

const cases: [string, Var, right: string[], wrong: string[]][] = [
  ['u16', u16, ['0100'], ['', '01', '010000']],
  ['u256', primitive('u256'), ['00'.repeat(32)], ['00'.repeat(31)]],
  ['text', primitive('str'), ['00', '0461'], ['', '04', '046161', 'feffffff']],
  ['nothing', { type: 'void' }, [''], ['00']],
  ['compact', { type: 'compact', isBig: true, size: 'u64' }, ['00', '0300000040'], ['', '0100', '03000000']],
  ['account', { type: 'AccountId32' }, ['11'.repeat(32)], ['11'.repeat(31), '11'.repeat(33)]],
  ['bits', { type: 'bitSequence', isLSB: true }, ['00', '24ffff'], ['24', '24ff', '02000008']],
  [
    'sequence',
    { type: 'sequence', value: u16 },
    ['00', '040100'],
    ['040100ff', '0401', 'feffffff', '02000008', '13ffffffffffffffff'],
  ],
  [
    'nested',
    { type: 'sequence', value: as({ type: 'sequence', value: u8 }) },
    ['00', '080004ff'],
    ['0804ff', '08feffffff'],
  ],
  ['array', { type: 'array', value: u16, len: 2 }, ['01000200'], ['010002', '0100020000']],
  ['option', { type: 'option', value: u8 }, ['00', '01ff'], ['', '01', '02ff']],
  ['result', { type: 'result', value: { ok: u8, ko: as({ type: 'void' }) } }, ['00ff', '01'], ['00', '01ff', '02']],
  ['tuple', { type: 'tuple', value: [u8, u16], innerDocs: [] }, ['010200'], ['0102']],
  ['struct', { type: 'struct', value: { a: u8, b: u8 }, innerDocs }, ['0102'], ['01', '010203']],
  [
    'variants',
    {
      type: 'enum',
      value: {
        A: { type: 'void', idx: 0 },
        B: { type: 'lookupEntry', value: u16, idx: 7 },
        C: { type: 'array', value: u8, len: 2, idx: 9 },
      },
      innerDocs,
    },
    ['00', '070100', '090102'],
    ['', '01', '07', '0901', '0000'],
  ],
  [
    'padded variants',
    { type: 'enum', value: { A: { type: 'void', idx: 0 } }, innerDocs, byteLength: 4 },
    ['00000000'],
    ['00', '0000000000'],
  ],
];

describe.each(cases)('%s', (_, type, right, wrong) => {
  it('is walked to its end', () => {
    for (const bytes of right) expect(() => requireShape(as(type), hexToBytes(bytes)), bytes).not.toThrow();
  });

  it('is refused otherwise', () => {
    for (const bytes of wrong) expect(() => requireShape(as(type), hexToBytes(bytes)), bytes).toThrow(/byte/);
  });
});

const path = process.env.SUBTENSOR_METADATA ?? '';
const isThere = path !== '' && existsSync(path);
if (!isThere) console.log('skipped: SUBTENSOR_METADATA names no file of SCALE metadata of the public network');

describe.skipIf(!isThere)('the metadata of the public network', () => {
  it('has defaults of the shape of their types, which encode to the same bytes again', () => {
    const lookup = getLookupFn(unifyMetadata(decAnyMetadata(new Uint8Array(readFileSync(path)))));
    const builder = getDynamicBuilder(lookup);
    let walked = 0;
    for (const pallet of lookup.metadata.pallets) {
      for (const { type, modifier, fallback } of pallet.storage?.items ?? []) {
        // An optional entry has no default.
        if (modifier === 0) continue;
        const id = type.tag === 'map' ? type.value.value : type.value;
        const bytes = hexToBytes(fallback.slice(2));
        requireShape(lookup(id), bytes);
        const codec = builder.buildDefinition(id);
        expect(codec.enc(codec.dec(bytes))).toEqual(bytes);
        walked++;
      }
    }
    expect(walked).toBeGreaterThan(200);
  });

  it('never lets an answer allocate what it only announces', () => {
    const version = { specName: 'node-subtensor', specVersion: 365, transactionVersion: 1 };
    const runtime = new Runtime(new Uint8Array(readFileSync(path)), version);
    const before = process.memoryUsage().rss;
    for (const entry of ['LastUpdate', 'Weights', 'Active', 'Keys']) {
      for (const bytes of ['0x02000008', '0xfeffffff', '0x01']) {
        expect(() => runtime.decode(runtime.storage('SubtensorModule', entry).value, bytes, entry)).toThrow(
          expect.objectContaining({ code: 'chain.protocol' }),
        );
      }
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 27);
  });
});
