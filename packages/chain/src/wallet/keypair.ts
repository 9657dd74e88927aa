/**
 * @file An sr25519 key pair. It shows its address; nothing but its own file format gets the secret out of it.
 *
 * Three public forms of the same 64-byte secret exist. Files carry `scalar | nonce` (schnorrkel); @scure/sr25519 and
 * polkadot-js carry the ed25519 form, in which the scalar is multiplied by the cofactor 8.
 * Source: schnorrkel's `SecretKey::to_bytes` and `to_ed25519_bytes`; opentensor/btwallet 4.
 */
import { QuasarError } from '@quasar/base';
import { getPublicKey, secretFromSeed, sign, verify } from '@scure/sr25519';
import { toHex } from '../hex.ts';
import type { Wallet } from '../port.ts';
import { ss58Decode, ss58Encode } from '../ss58.ts';
import { seedOfPhrase } from './phrase.ts';

export class KeyPair implements Wallet {
  /** ss58, prefix 42. */
  readonly address: string;
  readonly hotkey: string;
  /** ed25519 form. */
  readonly #secret: Uint8Array;
  readonly #seed: Uint8Array | null;
  readonly #phrase: string | null;

  private constructor(secret: Uint8Array, seed: Uint8Array | null, phrase: string | null) {
    this.#secret = secret;
    this.#seed = seed;
    this.#phrase = phrase;
    this.address = ss58Encode(getPublicKey(secret));
    this.hotkey = this.address;
  }

  /** @param seed 32-byte mini secret */
  static fromSeed(seed: Uint8Array): KeyPair {
    if (seed.length !== 32) throw new QuasarError('chain.wallet_invalid', `a seed has 32 bytes, got ${seed.length}`);
    return new KeyPair(secretFromSeed(seed), seed.slice(), null);
  }

  /** @throws chain.phrase_invalid */
  static fromPhrase(phrase: string): KeyPair {
    const { seed, words } = seedOfPhrase(phrase);
    return new KeyPair(secretFromSeed(seed), seed, words.join(' '));
  }

  /** @param secret 64 bytes in the ed25519 form */
  static fromSecret(secret: Uint8Array): KeyPair {
    return new KeyPair(secret.slice(), null, null);
  }

  /** @param secret 64 bytes as files carry them */
  static fromFileSecret(secret: Uint8Array): KeyPair {
    return new KeyPair(shiftScalar(secret, 3), null, null);
  }

  sign(message: Uint8Array): Uint8Array {
    return sign(this.#secret, message);
  }

  /** The secret key file of this pair, as the reference writes it: one JSON object, hex with 0x. */
  secretFile(): string {
    return JSON.stringify({
      ...this.#publicFields(),
      privateKey: toHex(shiftScalar(this.#secret, -3)),
      ...(this.#phrase === null ? {} : { secretPhrase: this.#phrase }),
      ...(this.#seed === null ? {} : { secretSeed: toHex(this.#seed) }),
      ss58Address: this.address,
      cryptoType: 1,
    });
  }

  /** What may lie beside it for everybody's reading. */
  publicFile(): string {
    return JSON.stringify({ ...this.#publicFields(), ss58Address: this.address, cryptoType: 1 });
  }

  #publicFields(): { accountId: string; publicKey: string } {
    const publicKey = toHex(ss58Decode(this.address));
    return { accountId: publicKey, publicKey };
  }
}

/** A wallet that lives in memory only. @param seed 32-byte mini secret */
export function walletFromSeed(seed: Uint8Array): Wallet {
  return KeyPair.fromSeed(seed);
}

/** Whether `hotkey` made `signature` over `message`. False, never an exception, for malformed input. */
export function verifySignature(hotkey: string, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(message, signature, ss58Decode(hotkey));
  } catch {
    return false;
  }
}

/** The little-endian scalar in the first 32 bytes shifted left by `bits` (right when negative), mod 2^256. */
function shiftScalar(secret: Uint8Array, bits: 3 | -3): Uint8Array {
  const out = Buffer.from(secret);
  const scalar = BigInt(`0x${Buffer.from(secret.subarray(0, 32)).reverse().toString('hex')}`);
  const shifted = BigInt.asUintN(256, bits > 0 ? scalar << 3n : scalar >> 3n);
  out.set(Buffer.from(shifted.toString(16).padStart(64, '0'), 'hex').reverse());
  return new Uint8Array(out);
}
