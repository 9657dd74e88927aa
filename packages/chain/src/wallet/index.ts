/** @file Keys: files, phrases, encryption, and the process that signs. */

export { type KeyPair, verifySignature, walletFromSeed } from './keypair.ts';
export { openKeyFile, openWallet } from './open-wallet.ts';
export { newPhrase } from './phrase.ts';
export { keyPairFromUri } from './secret-uri.ts';
export {
  openSigner,
  type SignedDigest,
  type SignerOptions,
  type SignerProcess,
  signatureLog,
} from './signer/open-signer.ts';
export { checkPassword, type KeyEntry, type WalletEntry, WalletFolder } from './wallet-folder.ts';
