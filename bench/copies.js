/**
 * @file Who is taken for a copy: `node bench/copies.js [nano|preview-nano …] [--secrets N] [--json] [--quick]`.
 *
 * Trains a base, a king and honest models from both, makes copies of the king in every way we know, and lets validators
 * with different secrets look at each by the rules of netuid 24 and by the local ones. Prints the distances that the rules are
 * made of, how often each copy is found, how often an honest model is, whether secrets ever contradict each other, and
 * what it costs. All seeded. `--quick` shows that it runs; its models have learned next to nothing.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { bootstrapOrExit, root } from '../scripts/bootstrap.js';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    secrets: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
  },
});
await bootstrapOrExit();
const { Rng } = await import('@quasar/base');
const model = await import('@quasar/model');
const { openDevice } = await import('@quasar/tensor');
const { Engine } = await import('@quasar/infer');
const training = await import('@quasar/train');
const subnet = (path) => import(join(root, 'packages/subnet/dist', path));
const { createModelLock } = await subnet('precheck/model-lock.js');
const { scanWeights } = await subnet('precheck/scan-weights.js');
const { contentRecord, samplePlan } = await subnet('copy/content.js');
const { baseTraces } = await subnet('copy/base-traces.js');
const { fingerprint, fingerprintProbes } = await subnet('copy/fingerprint.js');
const distances = await subnet('copy/distances.js');
const { likeness } = await subnet('copy/likeness.js');
const { derive } = await subnet('copy/secret.js');
const { symmetriesOf } = await subnet('testing/symmetries.js');
const { permuted, rescaled, rotated } = await subnet('testing/disguises.js');
const { LOCAL, UPSTREAM } = await subnet('rules/config.js');
const { table } = await import('./stages.js');
const { blend, frozen, mapped, noisy, pruned, quantised, readWeights, write } = await import('./altered-weights.js');

const RULES = { upstream: UPSTREAM.copies, local: LOCAL.copies };
const STEPS = options.quick ? { base: 4, own: 3, long: 3 } : { base: 150, own: 80, long: 100 };
const SECRETS = Array.from({ length: Number(options.secrets) }, (_, i) => derive('bench', `secret ${i}`));
const print = options.json ? console.error : console.log;
const device = openDevice();
const startedMs = performance.now();
const progress = (line) =>
  console.error(`bench: copies: ${((performance.now() - startedMs) / 1000).toFixed(0)} s: ${line}`);

const secondsPerGb = await scanCost();
const results = [];
for (const size of positionals.length > 0 ? positionals : ['nano', 'preview-nano']) {
  const directory = mkdtempSync(join(tmpdir(), 'quasar-copies-'));
  try {
    results.push(await bench(size, directory));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
if (options.json) console.log(JSON.stringify(results));

async function bench(size, directory) {
  const models = await trainedModels(size, directory);
  const { king, base, honest } = models;
  const weights = readWeights(king);
  const { value: config } = model.readConfig(king);
  const copies = copiesOf(weights, config, models);
  const lock = await createModelLock(base, LOCAL.limits);
  const found = new Map();
  const cost = { fingerprints: 0, fingerprintS: 0, recordBytes: 0 };
  for (const [i, secret] of SECRETS.entries()) {
    progress(`${size}: secret ${i + 1} of ${SECRETS.length}`);
    const recordOf = recorder(lock, secret, config, cost);
    const traces = await baseTraces(lock, secret, RULES.upstream, (at) => recordOf.run(at));
    const original = await recordOf(king);
    cost.recordBytes = JSON.stringify({ ...original, submission: undefined }).length;
    const look = async (group, name, at, against) => {
      const record = await recordOf(at);
      const verdicts = Object.entries(RULES).map(([rules, of]) => [rules, likeness(record, against, of, traces)]);
      const key = `${group}\t${name}`;
      const entry = found.get(key) ?? { group, name, verdicts: { upstream: [], local: [] } };
      for (const [rules, one] of verdicts)
        entry.verdicts[rules].push(one && (one.certainty === 'copy' ? one.kind : 'near'));
      if (i === 0) entry.apart = apart(record, against, traces);
      found.set(key, entry);
      return record;
    };
    const records = [];
    for (const [name, at] of Object.entries(honest))
      records.push([name, await look(groupOf(name), name, at, original)]);
    // Every two models that honestly went their own ways, in both directions.
    const own = records.filter(([name]) => name.startsWith('from the base'));
    for (const [nameA, a] of own)
      for (const [nameB, b] of own)
        if (a !== b) {
          const entry = found.get(`honest\t${nameA} / ${nameB}`) ?? {
            ...{ group: 'honest', name: `${nameA} / ${nameB}`, verdicts: { upstream: [], local: [] } },
            apart: apart(a, b, traces),
          };
          for (const [rules, of] of Object.entries(RULES)) {
            const one = likeness(a, b, of, traces);
            entry.verdicts[rules].push(one && (one.certainty === 'copy' ? one.kind : 'near'));
          }
          found.set(`honest\t${entry.name}`, entry);
        }
    for (const [group, name, of] of copies) {
      const at = write(join(directory, 'copy'), king, of());
      await look(group, name, at, original);
    }
  }
  return report(size, [...found.values()], cost);
}

function groupOf(name) {
  return name.startsWith('from the base') ? 'honest' : 'training on from the king';
}

/** Directories of checkpoints in BF16. */
async function trainedModels(size, directory) {
  const fresh = model.loadCheckpoint(join(root, 'assets/base'), device);
  model.disposeParameters(fresh.parameters);
  const { tokenizer } = fresh;
  const config = { ...model.SIZES[size], vocab_size: tokenizer.vocabSize };
  const trained = async (name, from, { steps, seed, learningRate = 2e-3, distil = false }) => {
    progress(`${size}: training ${name}, ${steps} steps`);
    const checkpoint = from
      ? model.loadCheckpoint(from, device)
      : { config, tokenizer, parameters: model.initialParameters(config, device, new Rng('bench'), tokenizer) };
    const spec = { kind: 'distil', teacher: join(root, 'assets/teacher') };
    const objective = distil
      ? await training.openObjective(spec, checkpoint, device)
      : training.crossEntropyObjective();
    const source = training.worldSource(tokenizer);
    const settings = {
      ...training.TRAIN_DEFAULTS,
      B: 4,
      T: 128,
      steps,
      seed,
      learningRate,
      warmupSteps: Math.min(20, steps / 4),
    };
    await training.train({
      ...{ checkpoint, objective, directory: null, settings },
      source: distil ? training.evenlyWeighted(source) : source,
    });
    await model.saveCheckpoint(join(directory, name), checkpoint, 'BF16');
    model.disposeParameters(checkpoint.parameters);
    return join(directory, name);
  };
  const base = await trained('base', null, { steps: STEPS.base, seed: 'base' });
  const king = await trained('king', base, { steps: STEPS.own, seed: 'king' });
  const honest = {};
  for (const seed of ['a', 'b'])
    honest[`from the base, seed ${seed}`] = await trained(seed, base, { steps: STEPS.own, seed });
  honest['from the base, distilled'] = await trained('distilled', base, { steps: STEPS.own, seed: 'c', distil: true });
  for (const [steps, learningRate] of [
    [1, 2e-4],
    [10, 2e-5],
    [10, 2e-4],
    [1, 2e-3],
    [10, 2e-3],
    [STEPS.long, 2e-3],
  ])
    honest[`${steps} steps at ${learningRate}`] = await trained(`on-${steps}-${learningRate}`, king, {
      ...{ steps, learningRate, seed: `on ${steps}` },
    });
  return { base, king, honest };
}

/** [group, name, how to make it] */
function copiesOf(weights, config, { base, honest }) {
  const { permutations, scales, rotations } = symmetriesOf(config);
  const uneven = (rng) => 0.5 + 1.5 * rng.next();
  const disguised = (of) => permuted(rescaled(rotated(of, rotations, 'r'), scales, 's', uneven), permutations, 'p');
  const kinds = (all) =>
    [...new Set(all.map(({ kind }) => kind))].map((kind) => [kind, all.filter((one) => one.kind === kind)]);
  const other = () => readWeights(honest['from the base, seed a']);
  const on = (steps) => readWeights(honest[`${steps} steps at 0.002`]);
  return [
    ['same', 'saved again', () => weights],
    ['same', 'another order of tensors', () => new Map([...weights].reverse())],
    ['same', 'rounded to four digits', () => mapped(weights, (value) => Number(value.toPrecision(4)))],
    ['same', 'norms frozen to the base', () => frozen(weights, readWeights(base), /norm|ln\d/)],
    ...[1e-4, 1e-3, 3e-3, 1e-2, 3e-2].map((size) => [
      size < 2e-3 ? 'noise' : 'noise beyond the line',
      `noise ${size}`,
      () => noisy(weights, size),
    ]),
    ...kinds(permutations).map(([kind, of]) => ['disguise', `${kind} permuted`, () => permuted(weights, of, 'p')]),
    ...kinds(scales).map(([kind, of]) => [
      'disguise',
      `${kind} scaled by powers of two`,
      () => rescaled(weights, of, 's'),
    ]),
    ...kinds(scales.filter(({ factors }) => factors === 'any')).map(([kind, of]) => [
      ...['disguise', `${kind} scaled by 0.5 to 2`],
      () => rescaled(weights, of, 's', uneven),
    ]),
    ...kinds(rotations).map(([kind, of]) => ['disguise', `${kind} rotated`, () => rotated(weights, of, 'r')]),
    ['disguise', 'all of these', () => disguised(weights)],
    ...[0.003, 0.01, 0.03].map((size) => [
      'disguise',
      `all of these and noise ${size}`,
      () => disguised(noisy(weights, size)),
    ]),
    ['disguise', 'all of these after 1 step of training', () => disguised(on(1))],
    ['disguised training', 'all of these after 10 steps', () => disguised(on(10))],
    ['compression', '8 bits and back', () => quantised(weights, 8)],
    ['compression', '4 bits and back', () => quantised(weights, 4)],
    ['compression', 'smallest tenth of the weights cut', () => pruned(weights, 0.1)],
    ['mixture', 'nine tenths, one of the base', () => blend(weights, readWeights(base), 0.1)],
    ['mixture', 'half, half of another model', () => blend(weights, other(), 0.5)],
    ['not a copy', 'another model in disguise', () => disguised(other())],
  ];
}

function recorder(lock, secret, config, cost) {
  const probes = fingerprintProbes(secret, config.vocab_size);
  const submission = { id: 'a', uid: 1, hotkey: 'a', repo: 'a/b', revision: 'a'.repeat(40), revealedAtBlock: 1 };
  const run = async (at) => {
    const engine = await Engine.load(at);
    cost.fingerprints++;
    try {
      const fromMs = performance.now();
      const found = await fingerprint(engine, probes);
      cost.fingerprintS += (performance.now() - fromMs) / 1000;
      return found;
    } finally {
      engine.dispose();
    }
  };
  const record = async (at) => {
    const scan = await scanWeights(at, samplePlan(secret, RULES.upstream));
    return { ...contentRecord(submission, scan, lock), fingerprint: await run(at) };
  };
  return Object.assign(record, { run });
}

/** Of one pass over the weights of a large model: digests, chunks, values, what is not finite. */
async function scanCost() {
  const directory = mkdtempSync(join(tmpdir(), 'quasar-copies-'));
  try {
    const values = Float32Array.from({ length: 2 ** 24 }, (_, i) => Math.sin(i));
    const tensor = { shape: [values.length], dtype: 'BF16', values };
    const path = join(
      write(
        directory,
        join(root, 'assets/base'),
        new Map([
          ['a', tensor],
          ['b', tensor],
        ]),
      ),
      'model.safetensors',
    );
    const fromMs = performance.now();
    await scanWeights(dirname(path), samplePlan(SECRETS[0], RULES.upstream));
    return (performance.now() - fromMs) / 1000 / (statSync(path).size / 1e9);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function apart(a, b, base) {
  const { relativeL2, displaced } = distances.valueDistance(a, b, base);
  return {
    relativeL2,
    displaced,
    layers: distances.layerDistance(a.fingerprint, b.fingerprint, base.fingerprint).distance,
    js: distances.behaviourDivergence(a.fingerprint, b.fingerprint),
    activations: 1 - distances.activationCosine(a.fingerprint, b.fingerprint),
  };
}

function report(size, entries, cost) {
  const short = (value) => (value === 0 || value >= 0.001 ? value.toFixed(4) : value.toExponential(1));
  const said = (verdicts) => {
    const counts = new Map();
    for (const one of verdicts) counts.set(one ?? '-', (counts.get(one ?? '-') ?? 0) + 1);
    return [...counts]
      .map(([kind, n]) => (n === verdicts.length ? kind : `${kind} ${n}/${verdicts.length}`))
      .join(', ');
  };
  const rows = entries.map(({ group, name, apart: d, verdicts }) => ({
    [`${size}: what is compared with the king`]: `${group}: ${name}`,
    ...{ weights: short(d.relativeL2), displaced: d.displaced, layers: short(d.layers), JS: short(d.js) },
    ...{ '1 - cos': short(Math.max(0, d.activations)), upstream: said(verdicts.upstream), local: said(verdicts.local) },
  }));
  const rates = [...new Set(entries.map(({ group }) => group))].map((group) => {
    const rate = (rules, is) => {
      const all = entries.filter((one) => one.group === group).flatMap(({ verdicts }) => verdicts[rules]);
      return `${all.filter(is).length}/${all.length}`;
    };
    const isCopy = (one) => one !== null && one !== 'near';
    return {
      group,
      ...{ 'COPY upstream': rate('upstream', isCopy), 'DEFERRED upstream': rate('upstream', (one) => one === 'near') },
      ...{ 'COPY local': rate('local', isCopy), 'DEFERRED local': rate('local', (one) => one === 'near') },
    };
  });
  const contradictions = Object.keys(RULES).flatMap((rules) =>
    entries.filter(
      ({ verdicts }) => verdicts[rules].includes(null) && verdicts[rules].some((one) => one !== null && one !== 'near'),
    ),
  ).length;
  const perGb = secondsPerGb;
  const perFingerprint = cost.fingerprintS / cost.fingerprints;
  print(`\n${table(rows)}\n\n${table(rates)}`);
  print(`  ${contradictions} models are a copy to one secret and free to another (${SECRETS.length} secrets)`);
  print(
    `  scan ${perGb.toFixed(1)} s per GB of weights, fingerprint ${perFingerprint.toFixed(2)} s, record ${(cost.recordBytes / 1000).toFixed(1)} kB of JSON`,
  );
  return {
    size,
    entries,
    rates,
    contradictions,
    scanSecondsPerGb: perGb,
    fingerprintSeconds: perFingerprint,
    recordBytes: cost.recordBytes,
  };
}
