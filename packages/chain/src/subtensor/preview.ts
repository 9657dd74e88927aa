/** @file What a call would be and cost, without signing it. */

import { toHex } from '../hex.ts';
import type { Preview } from '../port.ts';
import type { BuiltCall } from './calls.ts';
import { signedLength } from './extrinsic.ts';
import type { BlockState } from './state.ts';
import { taoOf } from './units.ts';

export async function previewOf(
  state: BlockState,
  address: string,
  built: BuiltCall<unknown>,
  genesis: string,
): Promise<Preview> {
  const encoded = state.runtime.encodeCall(built.pallet, built.name, built.args);
  return {
    call: `${built.pallet}.${built.name}`,
    arguments: plain(built.args),
    encoded: toHex(encoded),
    fee: await fee(state, address, encoded, genesis),
    signer: address,
  };
}

/** TAO; null when this runtime cannot tell. */
async function fee(state: BlockState, address: string, call: Uint8Array, genesis: string): Promise<number | null> {
  const api = ['TransactionPaymentCallApi', 'query_call_info'] as const;
  if (!state.runtime.hasApi(...api)) return null;
  const birth = { number: state.block, hash: state.hash };
  const length = Buffer.alloc(4);
  length.writeUInt32LE(
    signedLength(address, call, { runtime: state.runtime, genesis, nonce: 0, birth, lifetimeBlocks: 64 }),
  );
  const info = await state.callRaw<{ partial_fee: bigint }>(...api, Buffer.concat([call, length]));
  return taoOf(info.partial_fee);
}

/** Arguments as JSON shows them: bytes as hex, numbers beyond what it can hold as text. */
function plain(args: Record<string, unknown>): Record<string, unknown> {
  const text = JSON.stringify(args, (_, value) => {
    if (typeof value === 'bigint') return Number(value) <= Number.MAX_SAFE_INTEGER ? Number(value) : String(value);
    return value instanceof Uint8Array ? toHex(value) : value;
  });
  return JSON.parse(text) as Record<string, unknown>;
}
