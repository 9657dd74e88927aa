/**
 * @file A miner: publishes a model and commits it, once, however often it is killed on the way and started again.
 *
 * Argument: a JSON file with `{chainUrl, hubUrl, netuid, walletFile, cacheDirectory, repo, files, outFile}`. The revision goes to
 * `outFile`.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectChain, openWallet } from '@quasar/chain';
import { createHubClient } from '@quasar/hub';
import { formatCommitment } from '@quasar/subnet';

/** After so many blocks a call whose sender was killed is in a block, or nowhere. */
const CERTAIN_BLOCKS = 4;
const AGAIN_MS = 300;

const order = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { chainUrl, hubUrl, netuid, walletFile, cacheDirectory, repo, files, outFile } = order;
const begunFile = `${outFile}.begun`;
const chain = connectChain(chainUrl);
const hub = createHubClient({ url: hubUrl, cacheDirectory });
const wallet = openWallet(walletFile);

const { revision } = await patiently(() => hub.publish(repo, files));
const data = formatCommitment({ repo, revision });
if (!(await isCommitted())) await patiently(() => chain.commit(wallet, netuid, data));
writeFileSync(outFile, revision);
await chain.close();

async function isCommitted() {
  if (!existsSync(begunFile)) {
    writeFileSync(begunFile, '');
    return false;
  }
  const head = () => patiently(async () => (await chain.head()).number);
  for (const from = await head(); (await head()) < from + CERTAIN_BLOCKS; ) await sleep(AGAIN_MS);
  const commitments = await patiently(async () => chain.commitments(netuid, await head()));
  return commitments.some((one) => one.hotkey === wallet.hotkey && one.data === data);
}

/** As long as it is the world's fault. */
async function patiently(ask) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (error.retry !== 'later') throw error;
      await sleep(AGAIN_MS);
    }
  }
}
