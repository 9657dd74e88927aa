/**
 * @file Makes wallets with our code, for `bittensor_wallets.py check` to open with the reference.
 * Usage: node tests/oracles/write-wallets.mjs FOLDER (after a build)
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { keyPairFromUri, newPhrase, openWallet, WalletFolder } from '../../packages/chain/dist/index.js';

const root = process.argv[2];
mkdirSync(root, { recursive: true });
const folder = new WalletFolder(root);
const message = new TextEncoder().encode('quasar');
const password = 'ein gutes Passwort: äöü';
const expected = [];

function expectFile(path, keyPair, more = {}) {
  const signature = Buffer.from(keyPair.sign(message)).toString('hex');
  expected.push({ path: relative(root, path), address: keyPair.address, signature, ...more });
}

for (const [hotkey, uri] of [
  ['words12', newPhrase(12)],
  ['words24', newPhrase(24)],
  ['seed', `0x${'5a'.repeat(32)}`],
  ['derived', '//Alice/soft//hard'],
]) {
  const keyPair = keyPairFromUri(uri);
  await folder.createHotkey('ours', hotkey, keyPair);
  expectFile(folder.hotkey('ours', hotkey), keyPair);
  expected.push({ path: relative(root, folder.hotkeyPublic('ours', hotkey)), address: keyPair.address });
}
const coldkey = keyPairFromUri(newPhrase());
await folder.createColdkey('ours', coldkey, password);
expectFile(folder.coldkey('ours'), coldkey, { password });
expected.push({ path: relative(root, folder.coldkeyPublic('ours')), address: coldkey.address });
const opened = join(root, 'opened');
expectFile(opened, openWallet(opened));
writeFileSync(join(root, 'expected.json'), JSON.stringify(expected));
