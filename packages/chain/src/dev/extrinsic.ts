/**
 * @file Signed calls ("extrinsics"): what is signed, by whom, and for how long it is good.
 *
 * The signer (a hotkey, or a coldkey that pays) signs canonicalJson({atBlock, genesis, method, nonce, params, signer}) as UTF-8 with sr25519.
 * `genesis` ties it to one chain, `atBlock` lets it expire, and (signer, nonce) takes effect at most once, so sending an
 * extrinsic again is always safe.
 */
import { randomBytes } from 'node:crypto';
import { canonicalJson, QuasarError } from '@quasar/base';
import { z } from 'zod';
import type { Signer } from '../port.ts';
import { verifySignature } from '../wallet/index.ts';
import { type Call, checkCall } from './call.ts';

/** An extrinsic is accepted while head - atBlock is at most this. */
export const EXTRINSIC_LIFETIME_BLOCKS = 256;

const envelopeSchema = z.strictObject({
  genesis: z.string().regex(/^0x[0-9a-f]{64}$/),
  atBlock: z.int().min(0),
  /** 128 random bits. */
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  signer: z.string().max(64),
  signature: z.string().regex(/^0x[0-9a-f]{128}$/),
  call: z.unknown(),
});

export interface Extrinsic {
  genesis: string;
  atBlock: number;
  nonce: string;
  signer: string;
  signature: string;
  call: Call;
}

function signedBytes(extrinsic: Omit<Extrinsic, 'signature'>): Uint8Array {
  const { genesis, atBlock, nonce, signer, call } = extrinsic;
  return new TextEncoder().encode(canonicalJson({ genesis, atBlock, nonce, signer, ...call }));
}

/** Signs with a fresh nonce. Throws what `checkCall` throws, before anything is signed. */
export async function signExtrinsic(
  signer: Signer,
  call: Call,
  at: { genesis: string; atBlock: number },
): Promise<Extrinsic> {
  const unsigned = {
    ...at,
    nonce: randomBytes(16).toString('hex'),
    signer: signer.address,
    call: checkCall(call),
  };
  const signature = `0x${Buffer.from(await signer.sign(signedBytes(unsigned))).toString('hex')}`;
  return { ...unsigned, signature };
}

/** Parses and verifies untrusted input. Throws `chain.invalid_call`, `chain.bad_signature` or what `checkCall` throws. */
export function verifyExtrinsic(value: unknown): Extrinsic {
  const envelope = envelopeSchema.safeParse(value);
  if (!envelope.success) {
    const issues = envelope.error.issues.map((i) => `${i.path.join('/') || 'body'}: ${i.message}`);
    throw new QuasarError('chain.invalid_call', `not an extrinsic: ${issues.join('; ')}`);
  }
  const extrinsic: Extrinsic = { ...envelope.data, call: checkCall(envelope.data.call) };
  const signature = Buffer.from(extrinsic.signature.slice(2), 'hex');
  if (!verifySignature(extrinsic.signer, signedBytes(extrinsic), signature)) {
    throw new QuasarError('chain.bad_signature', `the signature is not by ${extrinsic.signer} over this call`, {
      hint: 'sign canonicalJson({atBlock, genesis, method, nonce, params, signer}) with the sr25519 key of the signer',
    });
  }
  return extrinsic;
}
