/** @file Whole rounds of simulated challengers, judged by the contest's own rules: sequential test, both gates, tie clusters. */
import { composeAxes, sequentialVerdict } from '@quasar/evals';
import { decideCrown } from '@quasar/subnet';

/**
 * @typedef {object} Challenger
 * @property {Float64Array} kl per prompt
 * @property {object} composite
 */

/**
 * One round; challengers in the order of their reveals.
 * @param {{kingKl: Float64Array, kingQuality: number, challengers: Challenger[]}} round
 * @returns {{crowned: number, verdicts: object[]}} index of who is crowned, -1 for the king
 */
export function playRound({ kingKl, kingQuality, challengers }, config) {
  const rules = { ...config.duel, prompts: kingKl.length };
  const verdicts = challengers.map(({ kl }) =>
    sequentialVerdict(
      kingKl.map((value, i) => value - kl[i]),
      rules,
    ),
  );
  const entries = challengers.map(({ kl, composite }, i) => {
    const klPerPrompt = kl.slice(0, verdicts[i].atN);
    return {
      submission: { id: String(i), uid: i, hotkey: String(i), repo: '', revision: '', revealedAtBlock: i },
      ...{ klPerPrompt, kl: klPerPrompt.reduce((a, b) => a + b) / klPerPrompt.length },
      ...{ test: verdicts[i].test, composite },
    };
  });
  const { crowned } = decideCrown(entries, kingQuality, config.crown, config.duel);
  return { crowned: crowned ? Number(crowned.submission.id) : -1, verdicts };
}

/** A composite that passes gate 2 against the same quality. */
export const EQUAL = { axes: {}, weighted: 0.5, worst: 0.5, worstAxis: null, quality: 0.5, qualityAxes: 9 };

/** Axes whose value is not a share of right replies, and what they are held at: they hardly differ between alike models. */
const HELD = { length: 1, degeneracy: 0.9 };
/** Of the teacher on the questions: capability is half relative to it. */
const TEACHER_SHARE = 0.9;

/**
 * Qualities of king and challenger on the same questions, drawn with replacement from pairs of recorded replies.
 * @param {(rng: object) => [boolean, boolean]} drawPair king right, challenger right
 * @returns {[object, object]} composites
 */
export function drawComposites(drawPair, config, rng) {
  const specs = qualitySpecs(config);
  const shares = [{}, {}];
  const all = [0, 0, 0];
  for (const spec of specs) {
    const items = itemsOf(spec);
    if (items === 0) continue;
    const right = [0, 0];
    for (let i = 0; i < items; i++) {
      const [own, other] = drawPair(rng);
      right[0] += Number(own);
      right[1] += Number(other);
    }
    right.forEach((count, side) => {
      shares[side][spec.name] = { value: count / items, n: items };
      all[side] += count;
    });
    all[2] += items;
  }
  return shares.map((values, side) => {
    const overall = all[side] / all[2];
    const capable = (share) => 0.5 * share + 0.5 * Math.min(1, share / TEACHER_SHARE);
    const derived = {
      ...values,
      capability: { value: capable(values.capability?.value ?? overall), n: all[2] },
      reasoning_density: { value: overall, n: all[2] },
      ...Object.fromEntries(Object.entries(HELD).map(([name, value]) => [name, { value, n: all[2] }])),
    };
    return composeAxes(
      specs.map((spec) => ({ ...spec, relative: false })),
      derived,
    );
  });
}

/** Questions behind the quality of a model. */
export function questionCount(config) {
  return qualitySpecs(config).reduce((sum, spec) => sum + itemsOf(spec), 0);
}

/** Relative axes are no part of the crown quality. */
function qualitySpecs({ axes }) {
  return axes.specs.filter(({ name }) => name !== 'kl' && name !== 'on_policy_rkl');
}

function itemsOf(spec) {
  return spec.questions?.items ?? spec.items ?? 0;
}

/**
 * Pairs of replies of two models that are equally good: who is who is tossed for each question. A share `loss` of the
 * challenger's right replies is made wrong.
 * @param {string} king @param {string} challenger digits as recorded
 */
export function equalPairs(king, challenger, loss = 0) {
  return (rng) => {
    const i = rng.uint32() % king.length;
    const [a, b] = [king[i] === '1', challenger[i] === '1'];
    const [own, other] = rng.uint32() & 1 ? [a, b] : [b, a];
    return [own, other && (loss === 0 || rng.next() >= loss)];
  };
}
