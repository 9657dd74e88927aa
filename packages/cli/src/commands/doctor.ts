/** @file `quasar doctor`: what this machine offers and what is missing. */
import { Command } from 'commander';
import { contextOf } from '../context.ts';
import type { DoctorReport } from '../doctor.ts';
import { record } from '../ui/table.ts';

export function doctor(): Command {
  return new Command('doctor')
    .description('Say which device, compiler and services this machine has, and what is missing.')
    .action(async (_options, command: Command) => {
      const context = contextOf(command);
      const { examine } = await import('../doctor.ts');
      const report = await examine(context.home);
      context.result(report, () => describe(report));
    });
}

function describe(report: DoctorReport): string {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  const fields = record({
    device: `${report.device}, ${report.threads} threads, ${report.isa} (${report.why})`,
    compiler: report.compiler ?? 'none',
    node: `${report.node} on ${report.platform}`,
    memory: `${gigabytes(report.memoryBytes.free)} free of ${gigabytes(report.memoryBytes.total)}`,
    home: `${report.home.path}${report.home.freeBytes === null ? '' : `, ${gigabytes(report.home.freeBytes)} free`}`,
    ports: Object.entries(report.ports)
      .map(([name, { port, free }]) => `${name} ${port}${free ? '' : ' (in use; the next free one is taken)'}`)
      .join(', '),
    chromium: report.chromium ?? 'none',
    postgres: report.postgres ?? 'none (SQLite is the default)',
  });
  const missing = report.missing.map((line) => `missing: ${line}`);
  return [fields, ...(missing.length > 0 ? missing : ['nothing is missing'])].join('\n');
}
