/**
 * @file `node bench/duel.js [--duels N] [--json] [--plot DIR]`: what the rules of a duel do, by simulation: how often an equal
 * challenger or a noise copy is crowned, with early stopping and without; how many prompts a verdict takes; how small an
 * improvement is found; what the quality gate refuses. Deltas are drawn from recorded ones of small real models
 * (`bench/duel/recorded.json`, made by `node bench/duel/record.js`) and from worse distributions. Seeded: the same numbers
 * each time. 10,000 duels per setting take some minutes on one core.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bootstrapOrExit } from '../scripts/bootstrap.js';
import { deltasOf, describe, STRESS } from './duel/draws.js';

const { values: options } = parseArgs({
  options: { duels: { type: 'string', default: '10000' }, json: { type: 'boolean' }, plot: { type: 'string' } },
});
const DUELS = Number(options.duels);
if (!(Number.isInteger(DUELS) && DUELS > 0)) {
  console.error('usage: node bench/duel.js [--duels N] [--json] [--plot DIR]');
  process.exit(2);
}
await bootstrapOrExit();
const { Rng } = await import('@quasar/base');
const { power, resampled, simulateDuels } = await import('@quasar/evals');
const { LOCAL, UPSTREAM } = await import('@quasar/subnet');
const { drawComposites, EQUAL, equalPairs, playRound, questionCount } = await import('./duel/rounds.js');
const { linePlot } = await import('./plot.js');

const recorded = JSON.parse(readFileSync(new URL('./duel/recorded.json', import.meta.url), 'utf8'));
const PROFILES = { upstream: UPSTREAM, local: LOCAL };
/** Who is compared, and what the name in the tables is. */
const PAIRS = {
  'siblings, from the base': ['a40', 'b40'],
  'siblings, from one king': ['a52', 'b52'],
  'king and its student': ['a40', 'a52'],
  'base and its student': ['base', 'a40'],
};
const KING = 'a40';
const CHILD = 'a52';
const kingKl = recorded.kl[KING].reduce((a, b) => a + b) / recorded.kl[KING].length;
const childDeltas = deltasOf(recorded, KING, CHILD);
const childSd = describe(childDeltas).sd;

const result = { date: new Date().toISOString(), duels: DUELS, kingKl };
const print = options.json ? () => {} : (text) => console.log(text);
const percent = (share, digits = 2) => `${(100 * share).toFixed(digits)} %`;
const nats = (value) => value.toFixed(5);

recordedDeltas();
equalChallengers();
equalRounds();
noiseCopies();
clonesOfWinner();
const gateOne = gateOnePower();
const gateTwo = gateTwoRefusals();
bothGates();
if (options.json) console.log(JSON.stringify(result));
if (options.plot !== undefined) plot(options.plot);
process.exit(0);

function recordedDeltas() {
  result.recorded = Object.entries({ ...PAIRS, ...noisePairs() }).map(([name, [king, challenger]]) => ({
    name,
    ...describe(deltasOf(recorded, king, challenger)),
  }));
  show(`Recorded deltas, ${recorded.kl[KING].length} prompts; KL of the king ${kingKl.toFixed(4)} nats per token`, [
    ['king and challenger', 'mean', 'sd', 'skew', 'excess kurtosis', 'autocorrelation'],
    ...result.recorded.map((r) => [
      ...[r.name, nats(r.mean), nats(r.sd), r.skew.toFixed(1), r.excessKurtosis.toFixed(1)],
      r.autocorrelation.toFixed(2),
    ]),
  ]);
}

/** Gate 1 alone, by what the deltas are drawn from. */
function equalChallengers() {
  const draws = {
    ...Object.fromEntries(
      Object.entries(PAIRS).map(([name, pair]) => [name, resampled(deltasOf(recorded, ...pair), 0)]),
    ),
    ...STRESS,
  };
  result.equal = [];
  for (const [profile, { duel }] of Object.entries(PROFILES)) {
    for (const [name, draw] of Object.entries(draws)) {
      // A margin in nats means nothing to a distribution without a scale.
      const rules = name in STRESS ? { ...duel, minDelta: 0 } : duel;
      const run = (more) =>
        simulateDuels({ duels: DUELS, seed: `${profile}/${name}`, rules: { ...rules, ...more }, draw });
      const [last, looks] = [run({ sequential: null }), run({})];
      result.equal.push({ profile, name, lastLookOnly: last.wins, ...looks });
    }
  }
  show('An equal challenger wins gate 1', [
    ['rules', 'deltas', 'last look only', 'with looks', 'of these early', 'prompts'],
    ...result.equal.map((r) => [
      ...[r.profile, r.name, percent(r.lastLookOnly), percent(r.wins), percent(r.earlyWins)],
      r.meanPrompts.toFixed(0),
    ]),
  ]);
}

/** Five equal challengers in one round: deltas of their own, or half of the variance shared through the king. */
function equalRounds() {
  const deltas = deltasOf(recorded, 'a40', 'b40');
  const { mean } = describe(deltas);
  const pick = (rng) => deltas[rng.uint32() % deltas.length] - mean;
  result.rounds = [];
  for (const [profile, config] of Object.entries(PROFILES)) {
    for (const shared of [false, true]) {
      const rng = new Rng(`bench/rounds/${profile}/${shared}`);
      const { prompts } = config.duel;
      let crowned = 0;
      for (let round = 0; round < DUELS; round++) {
        const common = Float64Array.from({ length: prompts }, () => (shared ? pick(rng) : 0));
        const challengers = Array.from({ length: 5 }, () => ({
          kl: common.map((x) => kingKl - (shared ? (x + pick(rng)) / Math.SQRT2 : pick(rng))),
          composite: EQUAL,
        }));
        const flat = new Float64Array(prompts).fill(kingKl);
        if (playRound({ kingKl: flat, kingQuality: EQUAL.quality, challengers }, config).crowned >= 0) crowned++;
      }
      result.rounds.push({ profile, shared, crowned: crowned / DUELS });
    }
  }
  show('A round of five equal challengers crowns one of them', [
    ['rules', 'deltas of the five', 'crowned'],
    ...result.rounds.map((r) => [r.profile, r.shared ? 'half shared' : 'independent', percent(r.crowned)]),
  ]);
}

/** Copies of the king, as recorded: a random change is better as often as it is worse, by very little. */
function noiseCopies() {
  const noMargin = { ...UPSTREAM, duel: { ...UPSTREAM.duel, minDelta: 0 } };
  result.noise = [];
  for (const [profile, config] of Object.entries({ ...PROFILES, 'upstream without the margin': noMargin })) {
    for (const [level, names] of noiseLevels()) {
      const single = names.map((name) => noiseRounds(config, [name], `${profile}/${name}`));
      const swarm = noiseRounds(config, names, `${profile}/${level}`);
      result.noise.push({ profile, level, best: Math.max(...single), mean: average(single), swarm });
    }
  }
  show('A noise copy of the king is crowned (gate 2 passed; copy detection off)', [
    ['rules', 'noise', 'one copy', 'luckiest of five', 'five at once'],
    ...result.noise.map((r) => [r.profile, r.level, percent(r.mean), percent(r.best), percent(r.swarm)]),
  ]);
}

function noiseRounds(config, names, seed) {
  const rng = new Rng(`bench/noise/${seed}`);
  let crowned = 0;
  for (let round = 0; round < DUELS / 5; round++) {
    const at = drawPrompts(config.duel.prompts, rng);
    const challengers = names.map((name) => ({ kl: klAt(name, at), composite: EQUAL }));
    const played = { kingKl: klAt(KING, at), kingQuality: EQUAL.quality, challengers };
    if (playRound(played, config).crowned >= 0) crowned++;
  }
  return crowned / Math.floor(DUELS / 5);
}

/** A true winner, revealed first, and four copies of it with noise. */
function clonesOfWinner() {
  result.clones = [];
  for (const [profile, config] of Object.entries(PROFILES)) {
    for (const effectOfKl of [0.01, 0.02, 0.05]) {
      for (const [level, names] of noiseLevels().slice(0, 3)) {
        const rng = new Rng(`bench/clones/${profile}/${effectOfKl}/${level}`);
        const shift = effectOfKl * kingKl - describe(childDeltas).mean;
        const counts = { original: 0, instead: 0, displaced: 0 };
        for (let round = 0; round < DUELS / 5; round++) {
          const at = drawPrompts(config.duel.prompts, rng);
          const [king, original] = [klAt(KING, at), klAt(CHILD, at).map((x) => x - shift)];
          const clones = names.slice(0, 4).map((name) => {
            const noisy = klAt(name, at);
            return { kl: original.map((x, i) => x + noisy[i] - king[i]), composite: EQUAL };
          });
          const challengers = [{ kl: original, composite: EQUAL }, ...clones];
          const { crowned, verdicts } = playRound({ kingKl: king, kingQuality: EQUAL.quality, challengers }, config);
          if (crowned === 0) counts.original++;
          else if (crowned > 0) counts[verdicts[0].decided === 'win' ? 'displaced' : 'instead']++;
        }
        const share = (count) => count / Math.floor(DUELS / 5);
        const { original, instead, displaced } = counts;
        const shares = { original: share(original), instead: share(instead), displaced: share(displaced) };
        result.clones.push({ profile, effectOfKl, level, ...shares });
      }
    }
  }
  show('Four noise copies of a better challenger, revealed after it: who is crowned', [
    ['rules', 'improvement', 'noise', 'original', 'a copy, original lost', 'a copy, original won'],
    ...result.clones.map((r) => [
      ...[r.profile, percent(r.effectOfKl, 0), r.level, percent(r.original), percent(r.instead), percent(r.displaced)],
    ]),
  ]);
}

/** By the true improvement as a share of the king's KL; the spread is that of a student of the king. */
function gateOnePower() {
  const effects = [0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08];
  result.power = [];
  for (const [profile, { duel }] of Object.entries(PROFILES)) {
    for (const share of effects) {
      const effect = share * kingKl;
      const run = (more) =>
        simulateDuels({
          ...{ duels: DUELS / 5, seed: `power/${profile}/${share}`, draw: resampled(childDeltas, effect) },
          rules: { ...duel, ...more },
        });
      const [last, looks] = [run({ sequential: null }), run({})];
      const formula = power({ n: duel.prompts, effect, sd: childSd, rules: duel });
      result.power.push({
        profile,
        share,
        formula,
        lastLookOnly: last.wins,
        wins: looks.wins,
        meanPrompts: looks.meanPrompts,
      });
    }
  }
  show(`Gate 1 finds a true improvement; spread of one delta ${percent(childSd / kingKl, 0)} of the king's KL`, [
    ['rules', 'improvement', 'by formula', 'last look only', 'with looks', 'prompts'],
    ...result.power.map((r) => [
      ...[r.profile, percent(r.share, 1), percent(r.formula, 0), percent(r.lastLookOnly, 0), percent(r.wins, 0)],
      r.meanPrompts.toFixed(0),
    ]),
  ]);
  return result.power;
}

/** Gate 2 alone: an equally good challenger, and ones that lost a share of their right answers. */
function gateTwoRefusals() {
  const tolerances = [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2];
  const losses = [0, 0.1, 0.2, 0.3];
  result.quality = [];
  for (const [profile, config] of Object.entries(PROFILES)) {
    for (const loss of losses) {
      const rng = new Rng(`bench/quality/${profile}/${loss}`);
      const draw = equalPairs(recorded.correct.a52, recorded.correct.b52, loss);
      const ratios = Array.from({ length: DUELS }, () => {
        const [king, challenger] = drawComposites(draw, config, rng);
        return challenger.quality / king.quality;
      });
      for (const tolerance of tolerances) {
        const passed = ratios.filter((ratio) => ratio >= 1 - tolerance).length / DUELS;
        result.quality.push({ profile, questions: questionCount(config), loss, tolerance, passed });
      }
    }
  }
  const cell = (profile, tolerance) =>
    losses.map((loss) =>
      percent(
        result.quality.find((r) => r.profile === profile && r.loss === loss && r.tolerance === tolerance).passed,
        1,
      ),
    );
  show('Gate 2 is passed, by the share of right answers that a challenger has lost', [
    [
      'rules',
      'questions',
      'tolerance',
      ...losses.map((loss) => (loss === 0 ? 'none lost' : `${percent(loss, 0)} lost`)),
    ],
    ...Object.entries(PROFILES).flatMap(([profile, config]) =>
      tolerances.map((tolerance) => {
        const inForce = tolerance === config.crown.qualityTolerance ? ', in force' : '';
        return [profile, String(questionCount(config)), percent(tolerance, 0) + inForce, ...cell(profile, tolerance)];
      }),
    ),
  ]);
  return result.quality;
}

/** KL and questions drawn anew for each duel; quality truly equal. */
function bothGates() {
  result.both = [];
  for (const [profile, config] of Object.entries(PROFILES)) {
    for (const share of [0, 0.01, 0.02, 0.04, 0.08]) {
      const rng = new Rng(`bench/both/${profile}/${share}`);
      const draw = resampled(childDeltas, share * kingKl);
      const pairs = equalPairs(recorded.correct.a52, recorded.correct.b52);
      const deltas = new Float64Array(config.duel.prompts);
      const king = new Float64Array(config.duel.prompts).fill(kingKl);
      const counts = { gateOne: 0, crowned: 0 };
      for (let duel = 0; duel < DUELS; duel++) {
        draw(deltas, rng);
        const [own, challenger] = drawComposites(pairs, config, rng);
        const challengers = [{ kl: king.map((x, i) => x - deltas[i]), composite: challenger }];
        const { crowned, verdicts } = playRound({ kingKl: king, kingQuality: own.quality, challengers }, config);
        if (verdicts[0].decided === 'win') counts.gateOne++;
        if (crowned === 0) counts.crowned++;
      }
      result.both.push({ profile, share, gateOne: counts.gateOne / DUELS, crowned: counts.crowned / DUELS });
    }
  }
  show('Both gates: better KL, the same quality', [
    ['rules', 'improvement', 'gate 1', 'crowned'],
    ...result.both.map((r) => [r.profile, percent(r.share, 0), percent(r.gateOne), percent(r.crowned)]),
  ]);
}

function plot(directory) {
  mkdirSync(directory, { recursive: true });
  const curve = (rows, x, y, profile) => rows.filter((r) => r.profile === profile).map((r) => [x(r), y(r)]);
  const improvement = (r) => 100 * r.share;
  const powerPlot = linePlot({
    ...{
      title: 'Gate 1: probability that a true improvement is found',
      x: 'improvement, % of the king’s KL',
      y: 'probability',
    },
    lines: Object.entries(PROFILES).flatMap(([profile, { duel }]) => [
      { name: `${profile}, ${duel.prompts} prompts`, points: curve(gateOne, improvement, (r) => r.wins, profile) },
    ]),
  });
  const qualityPlot = linePlot({
    ...{ title: 'Gate 2: share of equally good challengers that pass', x: 'tolerance, %', y: 'share' },
    lines: Object.keys(PROFILES).map((profile) => ({
      name: `${profile}, ${questionCount(PROFILES[profile])} questions`,
      points: curve(
        gateTwo.filter(({ loss }) => loss === 0),
        (r) => 100 * r.tolerance,
        (r) => r.passed,
        profile,
      ),
    })),
  });
  writeFileSync(join(directory, 'duel-power.svg'), powerPlot);
  writeFileSync(join(directory, 'duel-quality.svg'), qualityPlot);
}

function noiseLevels() {
  const levels = new Map();
  for (const name of Object.keys(recorded.kl)) {
    const [, level] = / \+ (\S+) noise /.exec(name) ?? [];
    if (level) levels.set(level, [...(levels.get(level) ?? []), name]);
  }
  return [...levels];
}

/** The first copy of each level. */
function noisePairs() {
  return Object.fromEntries(
    noiseLevels().map(([level, [name]]) => [`king and a copy with ${level} noise`, [KING, name]]),
  );
}

function drawPrompts(count, rng) {
  return Uint32Array.from({ length: count }, () => rng.uint32() % recorded.kl[KING].length);
}

function klAt(name, prompts) {
  return Float64Array.from(prompts, (i) => recorded.kl[name][i]);
}

function average(values) {
  return values.reduce((a, b) => a + b) / values.length;
}

function show(title, rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const line = (row) => row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
  print(`\n${title}\n${rows.map((row) => line(row).trimEnd()).join('\n')}`);
}
