/**
 * @file Signed extrinsics, format version 4: which bytes are signed, and which travel.
 *
 * Signed: call | extra of every signed extension | additional of every signed extension; hashed (blake2b-256) when longer
 * than 256 bytes. Sent: length | 0x84 | 0x00 account | 0x01 sr25519 signature | extra | call.
 * Source: Substrate documentation, "transaction format" and "mortal transactions".
 */
import { blake2b } from '@noble/hashes/blake2.js';
import { QuasarError } from '@quasar/base';
import { fromHex } from '../hex.ts';
import type { Head, Signer } from '../port.ts';
import { compact, scaleEncode, u32 } from '../scale/index.ts';
import { ss58Decode } from '../ss58.ts';
import { verifySignature } from '../wallet/index.ts';
import type { Runtime } from './runtime.ts';

const SIGNED_V4 = 0x84;

export interface ExtrinsicContext {
  runtime: Runtime;
  /** `0x` hex. */
  genesis: string;
  nonce: number;
  /** A final block, with which the life of the extrinsic begins. */
  birth: Head;
  /** A power of two from 4 to 4096. */
  lifetimeBlocks: number;
}

/** The bytes to send. Throws `chain.bad_signature` when the signer's key is not that of its address. */
export async function signExtrinsic(signer: Signer, call: Uint8Array, context: ExtrinsicContext): Promise<Uint8Array> {
  const { extra, additional } = extensionBytes(context);
  const message = Buffer.concat([call, extra, additional]);
  const payload = message.length > 256 ? blake2b(message, { dkLen: 32 }) : new Uint8Array(message);
  const signature = await signer.sign(payload);
  if (!verifySignature(signer.address, payload, signature)) {
    throw new QuasarError('chain.bad_signature', `the signature is not by ${signer.address} over this call`, {
      hint: 'the key that signed belongs to another address; look at the wallet',
    });
  }
  return assemble(signer.address, signature, extra, call);
}

/** How long a signed extrinsic of this call is: for asking what it would cost. */
export function signedLength(address: string, call: Uint8Array, context: ExtrinsicContext): number {
  return assemble(address, new Uint8Array(64), extensionBytes(context).extra, call).length;
}

function assemble(address: string, signature: Uint8Array, extra: Uint8Array, call: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.of(SIGNED_V4, 0), ss58Decode(address), Buffer.of(1), signature, extra, call]);
  return new Uint8Array(Buffer.concat([scaleEncode(compact, BigInt(body.length)), body]));
}

/** What the signed extensions of this runtime add. Throws `chain.call_missing` for one whose content nobody here knows. */
function extensionBytes(context: ExtrinsicContext): { extra: Uint8Array; additional: Uint8Array } {
  const { runtime, genesis, nonce, birth, lifetimeBlocks } = context;
  if (!runtime.extrinsicVersions.includes(4)) throw runtime.missing('extrinsics of version 4');
  const none: [Uint8Array, Uint8Array] = [new Uint8Array(), new Uint8Array()];
  const pairs = runtime.signedExtensions().map((extension): [Uint8Array, Uint8Array] => {
    switch (extension.identifier) {
      case 'CheckMortality':
      case 'CheckEra':
        return [mortalEra(birth.number, lifetimeBlocks), fromHex(birth.hash)];
      case 'CheckNonce':
        return [scaleEncode(compact, BigInt(nonce)), none[1]];
      case 'ChargeTransactionPayment':
        return [scaleEncode(compact, 0n), none[1]];
      case 'CheckSpecVersion':
        return [none[0], scaleEncode(u32, runtime.specVersion)];
      case 'CheckTxVersion':
        return [none[0], scaleEncode(u32, runtime.transactionVersion)];
      case 'CheckGenesis':
        return [none[0], fromHex(genesis)];
      case 'CheckMetadataHash':
        return [Uint8Array.of(0), Uint8Array.of(0)];
    }
    if (extension.isEmpty) return none;
    if (extension.canBeNone) return [extension.extra.enc(undefined), extension.additional.enc(undefined)];
    throw runtime.missing(`signed extensions that are all known: ${extension.identifier}`);
  });
  return {
    extra: Buffer.concat(pairs.map(([extra]) => extra)),
    additional: Buffer.concat(pairs.map(([, additional]) => additional)),
  };
}

/** Two bytes: log2 of the period less one in the low four bits, the block's place in the period above. */
export function mortalEra(birthBlock: number, lifetimeBlocks: number): Uint8Array {
  const encoded = (Math.log2(lifetimeBlocks) - 1) | ((birthBlock % lifetimeBlocks) << 4);
  return Uint8Array.of(encoded & 0xff, encoded >> 8);
}
