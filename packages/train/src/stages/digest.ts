/** @file Digests of weights: that a run goes on from the same ones, that a frozen base stays as it was. */
import { createHash } from 'node:crypto';
import { type Checkpoint, tensorTable } from '@quasar/model';

/** SHA-256 of the values of every tensor of the config, in the order of its table; others in `parameters` do not count. */
export async function digestOfWeights({
  config,
  parameters,
}: Pick<Checkpoint, 'config' | 'parameters'>): Promise<string> {
  const hash = createHash('sha256');
  for (const name of tensorTable(config).keys()) {
    const values = await parameters.get(name)?.read();
    if (values) hash.update(name).update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest('hex');
}
