/** @file The SMEBU update of a training step: from the tokens that each expert got to the selection bias of the next step. */
import { type Checkpoint, smebuUpdate } from '@quasar/model';
import type { Tensor } from '@quasar/tensor';

/** Call once per optimizer step. @param counts tokens per expert of each (loop, mixture layer), in the order of `forward` */
export async function updateExpertBias({ config, parameters }: Checkpoint, counts: readonly Tensor[]): Promise<void> {
  const buffers = ['all_moe_bias', 'all_moe_momentum', 'all_moe_max_vio'].map(
    (name) => parameters.get(`model.${name}`) as Tensor,
  );
  const values = await Promise.all(buffers.map(async (buffer) => Float32Array.from(await buffer.read())));
  const [bias, momentum, maxVio] = values as [Float32Array, Float32Array, Float32Array];
  // With several loops one layer has several counts: they add up.
  const layers = maxVio.length;
  const sums = Array.from({ length: layers }, () => new Float64Array(config.num_routed_experts));
  for (const [i, count] of counts.entries()) {
    const sum = sums[i % layers] as Float64Array;
    (await count.read()).forEach((n, expert) => {
      sum[expert] = (sum[expert] as number) + n;
    });
  }
  smebuUpdate(bias, momentum, maxVio, sums, {
    kappa: config.smebu_kappa,
    lambda: config.smebu_lambda,
    beta: config.smebu_beta,
  });
  for (const [i, buffer] of buffers.entries()) buffer.write(values[i] as Float32Array);
}
