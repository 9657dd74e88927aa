/**
 * @file Decoding, one sequence, one token at a time, greedy without the choice: hidden state and logits of every token. Counts
 * the bytes of weights that a token must read, each once: all that the forward pass uses, of the experts those chosen, of the
 * embedding one row.
 */
import { Rng } from '@quasar/base';
import { Decoder } from '@quasar/infer';
import { disposeParameters, forward, initialParameters, SIZES, tensorTable, vocabularyLogits } from '@quasar/model';
import { scope } from '@quasar/tensor';

export const title = 'Decoding, batch 1';

export async function run({ device, measure, isQuick }) {
  for (const size of isQuick ? ['nano'] : ['small', 'mini']) {
    const config = SIZES[size];
    const parameters = initialParameters(config, device, new Rng('bench'));
    const bytes = touchedBytes(config, device.floatBytes);
    const token = Int32Array.of(1);
    const first = scope(() => {
      const { hidden, state } = forward(config, parameters, { tokens: token, B: 1, T: 1 });
      return { logits: vocabularyLogits(parameters, hidden), state };
    });
    const decoder = new Decoder(config, parameters, first);
    try {
      await measure({
        name: `quasar-${size}`,
        shape: `${(bytes / 1e6).toFixed(0)} MB a token`,
        unit: 'GB/s',
        work: bytes,
        bound: 'readGBs',
        ours: () => decoder.next(token),
        note: ({ seconds }) =>
          `${(1 / seconds).toFixed(0)} tokens/s${size === 'small' ? '' : '; its weights may stay in the last-level cache'}`,
        goals: size === 'small' ? [{ share: 0.7 }] : [],
      });
    } finally {
      decoder.dispose();
      disposeParameters(parameters);
    }
  }
}

/** Of the checkpoint but not of the forward pass of this variant. */
const UNUSED = /\.(attn\.f_proj\.weight|attn\.A_log|attn\.dt_bias|injection_gate)$/;

function touchedBytes(config, floatBytes) {
  let count = config.d_model;
  for (const [name, { shape, role }] of tensorTable(config)) {
    if (role === 'buffer' || role === 'embedding' || UNUSED.test(name)) continue;
    const size = shape.reduce((product, extent) => product * extent, 1);
    count += role === 'expert' ? (size * config.top_k) / config.num_routed_experts : size;
  }
  return count * floatBytes;
}
