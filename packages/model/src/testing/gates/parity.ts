/** @file Gate: float32 kernels compute what float64 loops compute. */
import { nativeAvailable, nativeDevice, referenceDevice } from '@quasar/tensor';
import { expect, it } from 'vitest';
import type { ModelConfig } from '../../families/index.ts';
import type { GateSubject } from '../gates.ts';
import { logitsOf, randomTokens, relativeError } from '../tiny.ts';

export function parityGate(config: ModelConfig, makeParameters: Required<GateSubject>['makeParameters']): void {
  it.skipIf(!nativeAvailable())('float32 kernels agree with the float64 reference', async () => {
    const [B, T] = [1, 130];
    const block = { tokens: randomTokens(B * T, config.vocab_size, 'parity'), B, T };
    const [expected, native] = await Promise.all(
      [referenceDevice({ precision: 'f64' }), nativeDevice()].map(async (device) =>
        logitsOf(config, await makeParameters(device, config), block),
      ),
    );
    expect(relativeError(native ?? [], expected ?? [])).toBeLessThan(5e-6);
  });
}
