/** @file Everything that a round measured, bit for bit, and where two of them differ. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson, sha256Hex } from '@quasar/base';

/** What is said of models; not when, nor how far somebody was. */
const VERDICTS = ['submission.content', 'submission.rejected', 'evaluation.measured', 'evaluation.failed'].concat([
  ...['evaluation.scored', 'duel.judged', 'round.judged'],
]);

/** @returns a name for every fact of a round, with its bytes or their digest */
export function factsOf({ events, evidence }) {
  const facts = new Map();
  const repeats = new Map();
  for (const { type, data } of events) {
    if (!VERDICTS.includes(type)) continue;
    const name = [type, data.id ?? '', data.part ?? ''].join(' ');
    repeats.set(name, (repeats.get(name) ?? 0) + 1);
    facts.set(`${name} ${repeats.get(name)}`, canonicalJson({ ...data, atBlock: null }));
  }
  // Units with their payloads and results, and blobs: as they went through the queue.
  for (const entry of readdirSync(evidence, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    facts.set(path.slice(evidence.length + 1), sha256Hex(readFileSync(path)));
  }
  return facts;
}

/** Names of the facts that only one of the two has, or that are not the same. */
export function differences(expected, actual) {
  const names = new Set([...expected.keys(), ...actual.keys()]);
  return [...names].filter((name) => expected.get(name) !== actual.get(name)).sort();
}

/** How much was compared. */
export function countFacts({ events, evidence }) {
  const measured = events.filter(({ type }) => type === 'evaluation.measured').map(({ data }) => data);
  const files = readdirSync(evidence, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const of = (kind) => files.filter(({ parentPath }) => parentPath.includes(join('units', kind)));
  const results = (kind) =>
    of(kind).map(({ parentPath, name }) => JSON.parse(readFileSync(join(parentPath, name))).result);
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  return {
    promptKl: sum(measured.filter(({ part }) => part === 'kl').map(({ perPrompt }) => perPrompt.length)),
    tokenKl: sum(results('kl').flatMap(({ tokens }) => tokens)),
    replies: sum(results('answers').map(({ replies }) => replies.length)),
    axes: sum(measured.filter(({ part }) => part === 'axes').map(({ axes }) => Object.keys(axes).length)),
    verdicts: events.filter(({ type }) => type === 'duel.judged').length,
    blobs: files.filter(({ parentPath }) => parentPath.endsWith('blobs')).length,
  };
}
