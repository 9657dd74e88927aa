/**
 * @file `npm run bench -- [area …] [--json] [--quick] [--no-peers] [--save] [--plot DIR] [--data FILE]`: our work beside that of the peers,
 * one table per area, with the machine's peak measured in the same run. What each figure counts: bench/README.md.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bootstrapOrExit } from '../scripts/bootstrap.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const AREAS = readdirSync(join(here, 'areas'))
  .map((file) => file.replace(/\.js$/, ''))
  .sort();
/** Above this share of other work, figures are lower bounds and say so. */
const QUIET_SHARE = 0.05;

const { values: options, positionals } = parseCommand();
await bootstrapOrExit();
const { measurePeak, nativeDevice } = await import('@quasar/tensor');
const { Peers } = await import('./peers.js');
const { compare, judge } = await import('./compare.js');
const { notes, rate, table } = await import('./table.js');
const { barPlot } = await import('./plot.js');
const { cpuSeconds, describeMachine, foreignShare, load } = await import('./machine.js');

const print = options.json ? console.error : console.log;
const plan = options.quick
  ? { rounds: 3, sampleS: 0.005, budgetS: 0.5 }
  : { rounds: 9, sampleS: 0.1, budgetS: Number(options.seconds) };
const device = nativeDevice();
const peers = new Peers({ threads: device.threads, isOff: options['no-peers'] });
const result = { date: new Date().toISOString(), machine: describeMachine(device), loadBefore: load(), areas: {} };
const { cpu, isa, threads } = result.machine;
print(`${cpu}, ${isa}, ${threads} threads, load average ${result.loadBefore}`);
try {
  for (const name of positionals.length > 0 ? positionals : AREAS) await runArea(name);
} finally {
  result.peers = peers.versions();
  peers.close();
}
result.loadAfter = load();
for (const [name, version] of Object.entries(result.peers)) print(`${name}: ${version}`);
if (options.json) console.log(JSON.stringify(result));
process.exit(0);

async function runArea(name) {
  const { run, title, plot } = await import(`./areas/${name}.js`);
  const rows = [];
  const context = { device, peers, plan, data: options.data };
  const before = cpuSeconds(peers.pids());
  const startedAtMs = performance.now();
  let peaks = measurePeak();
  await run({
    ...context,
    isQuick: Boolean(options.quick),
    progress: (text) => console.error(`bench: ${name}: ${text} ...`),
    /** Measures a case of this area and adds its row. */
    async measure(given, on = device) {
      console.error(`bench: ${name}: ${given.name} ${given.shape} ...`);
      rows.push(await compare(given, { ...context, device: on }));
    },
    /** Adds a row that the area measured itself. */
    add: (row) => rows.push({ peers: {}, bound: null, goals: [], ...row }),
  });
  // The peak is the best the machine was seen to do around the area, so a share never flatters.
  const after = measurePeak();
  peaks = Object.fromEntries(Object.entries(peaks).map(([key, value]) => [key, Math.max(value, after[key])]));
  const wallS = (performance.now() - startedAtMs) / 1000;
  const foreign = foreignShare(before, cpuSeconds(peers.pids()), wallS);
  const judged = rows.map((row) => judge(row, peaks));
  result.areas[name] = { title, peaks, otherWork: foreign, rows: judged };
  print(`\n${title}`);
  print(`peak ${rate(peaks.gflops)} GFLOP/s, read ${rate(peaks.readGBs)} GB/s, copy ${rate(peaks.copyGBs)} GB/s`);
  print(table(judged));
  for (const note of notes(judged)) print(`  ${note}`);
  if (foreign !== null && foreign > QUIET_SHARE) {
    print(`  Other work took ${(100 * foreign).toFixed(0)} % of the cores meanwhile: the figures are lower bounds.`);
  }
  if (options.save) {
    mkdirSync(join(here, 'results'), { recursive: true });
    const file = join(here, 'results', `${result.date.slice(0, 10)}-${name}.json`);
    writeFileSync(file, `${JSON.stringify({ ...result, areas: { [name]: result.areas[name] } }, null, 1)}\n`);
  }
  if (options.plot) {
    mkdirSync(options.plot, { recursive: true });
    writeFileSync(join(options.plot, `${name}.svg`), plot ? plot(judged) : barPlot(title, judged));
  }
}

function parseCommand() {
  const usage =
    'usage: npm run bench -- [area ...] [--json] [--quick] [--no-peers] [--save] [--plot DIR] [--seconds PER_CASE] [--data FILE]';
  try {
    const command = parseArgs({
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        json: { type: 'boolean' },
        quick: { type: 'boolean' },
        'no-peers': { type: 'boolean' },
        save: { type: 'boolean' },
        plot: { type: 'string' },
        seconds: { type: 'string', default: '6' },
        data: { type: 'string' },
      },
    });
    if (command.values.help) {
      console.log(`${usage}\nareas: ${AREAS.join(', ')}`);
      process.exit(0);
    }
    const unknown = command.positionals.filter((name) => !AREAS.includes(name));
    if (unknown.length > 0) throw new Error(`no area ${unknown.join(', ')}; there are ${AREAS.join(', ')}`);
    return command;
  } catch (error) {
    console.error(`bench: ${error.message}`);
    console.error(usage);
    process.exit(2);
  }
}
