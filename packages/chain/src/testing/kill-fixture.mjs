/** A process that runs a chain, writes without pause, and prints every acknowledged write. Killed by kill.test.ts. */
import { DevChain, walletFromSeed } from '../../dist/index.js';

const [path, run] = process.argv.slice(2);
const wallet = walletFromSeed(new Uint8Array(32).fill(Number(run)));
const chain = DevChain.open({
  path,
  blockTimeMs: 2,
  tempo: 7,
  commitReveal: 'timelocked',
  weightsRateLimitBlocks: 0,
  initialBurn: 0,
  minBurn: 0,
});
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

say({ kind: 'opened', head: await chain.head() });
const { uid } = await chain.register(wallet, 24);
say({ kind: 'registered', uid });
for (let i = 1; ; i++) {
  const data = `run ${run} commitment ${i}`;
  if (i <= 3) say({ kind: 'committed', data, ...(await chain.commit(wallet, 24, data)) });
  if (i % 6 === 2) await chain.setWeights(wallet, 24, [{ uid, weight: 1 }]);
  await chain.addStake(wallet, 24, 1);
  say({ kind: 'staked', total: i, head: await chain.head() });
}
