/** @file Where the time goes: calls, time, operations and bytes per kernel, against what the machine can do at most. */
import { costOf } from './costs.ts';
import type { Device } from './device.ts';
import type { Peak } from './devices/native.ts';
import type { KernelName } from './kernels.ts';

interface Line {
  calls: number;
  ms: number;
  flops: number;
  bytes: number;
}

export class Profile {
  readonly #lines = new Map<KernelName, Line>();

  /** Times every kernel of a device whose `run` returns when the kernel is done. Command lists run one by one. */
  watch(device: Device): Device {
    const { run } = device;
    delete device.compile;
    delete device.inBursts;
    device.run = (kernel, buffers, numbers) => {
      const startedAtMs = performance.now();
      run.call(device, kernel, buffers, numbers);
      const ms = performance.now() - startedAtMs;
      const { flops, bytes } = costOf(kernel, buffers, numbers);
      const line = this.#lines.get(kernel) ?? { calls: 0, ms: 0, flops: 0, bytes: 0 };
      line.calls++;
      line.ms += ms;
      line.flops += flops ?? 0;
      line.bytes += bytes;
      this.#lines.set(kernel, line);
    };
    return device;
  }

  /**
   * A table, the most expensive kernel first. `of peak` is the larger of the shares of the multiply-add peak (`fma`) and of
   * the read bandwidth (`mem`); operands in cache can be above the latter.
   */
  table(peak: Peak): string {
    const lines = [...this.#lines].sort(([, a], [, b]) => b.ms - a.ms);
    const total = lines.reduce((sum, [, { ms }]) => sum + ms, 0);
    const rows = lines.map(([kernel, { calls, ms, flops, bytes }]) => {
      const [gflops, gigabytes] = [flops / ms / 1e6, bytes / ms / 1e6];
      const [compute, memory] = [gflops / peak.gflops, gigabytes / peak.readGBs];
      return [
        kernel,
        String(calls),
        ms.toFixed(1),
        percent(ms / total),
        flops > 0 ? gflops.toFixed(1) : '-',
        gigabytes.toFixed(1),
        `${percent(Math.max(compute, memory))} ${compute > memory ? 'fma' : 'mem'}`,
      ];
    });
    const all = [['kernel', 'calls', 'ms', 'share', 'GFLOP/s', 'GB/s', 'of peak'], ...rows];
    const widths = all[0]?.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0))) ?? [];
    const text = all.map((row) =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
    );
    const peaks = [peak.gflops.toFixed(0), peak.readGBs.toFixed(1), peak.copyGBs.toFixed(1)];
    return `${text.join('\n')}\nkernels ${total.toFixed(1)} ms; peak ${peaks[0]} GFLOP/s, read ${peaks[1]} GB/s, copy ${peaks[2]} GB/s\n`;
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
