/**
 * @file Competition problems whose answer is an integer from 0 to 999, as in AIME. The reply may reason first and ends with
 * `Answer: N`. Answers come from direct computation or from counting cases, never from a formula of the problem's author.
 *
 * Level 0: remainders and divisors. Level 1: sums over multiples and digits. Level 2: paths and simultaneous remainders.
 * Level 3: choices without neighbours, bounded sums, recurrences.
 */
import type { Rng } from '@quasar/base';
import { ANSWER_LINE, checkNumber } from '../check.ts';
import type { Task, WorldItem } from '../types.ts';
import { phrase } from '../words.ts';

/** `#` stands for what is sought. */
const ASKED = ['Find #.', 'What is #?', 'Determine #.', 'Compute #.'];

/** An answer beyond 999 is asked for modulo 1000. */
interface Problem {
  content: string;
  sought: string;
  answer: number;
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

function powerRemainder(rng: Rng): Problem {
  const [base, exponent, modulus] = [rng.int(2, 30), rng.int(5, 60), rng.int(7, 997)];
  const answer = Number(BigInt(base) ** BigInt(exponent) % BigInt(modulus));
  return {
    content: `${base}^${exponent} mod ${modulus}`,
    sought: `the remainder of ${base}^${exponent} divided by ${modulus}`,
    answer,
  };
}

function divisors(rng: Rng): Problem {
  const n = rng.int(2, 9) ** 2 * rng.int(4, 60) * rng.int(2, 15);
  return {
    content: `divisors ${n}`,
    sought: `the number of positive divisors of ${n}`,
    answer: upTo(n).filter((d) => n % d === 0).length,
  };
}

function multiples(rng: Rng): Problem {
  const [a, b] = rng.sample([3, 4, 5, 6, 7, 8, 9, 10, 11], 2) as [number, number];
  const below = rng.int(60, 600);
  const sum = upTo(below - 1).reduce((total, k) => total + (k % a === 0 || k % b === 0 ? k : 0), 0);
  return {
    content: `multiples ${a} ${b} ${below}`,
    sought: `the remainder, divided by 1000, of the sum of all positive integers below ${below} that are multiples of ${a} or ${b}`,
    answer: sum % 1000,
  };
}

function digitSums(rng: Rng): Problem {
  const [below, sum] = [rng.int(20, 99) * 100, rng.int(4, 18)];
  const digits = (k: number) => [...String(k)].reduce((total, digit) => total + Number(digit), 0);
  return {
    content: `digits ${below} ${sum}`,
    sought: `the number of positive integers below ${below} whose digits add up to ${sum}`,
    answer: upTo(below - 1).filter((k) => digits(k) === sum).length,
  };
}

function paths(rng: Rng): Problem {
  const [width, height] = [rng.int(3, 7), rng.int(3, 7)];
  const [x, y] = [rng.int(1, width - 1), rng.int(1, height - 1)];
  const ways = Array.from({ length: height + 1 }, () => new Array<number>(width + 1).fill(0));
  for (let j = 0; j <= height; j++) {
    for (let i = 0; i <= width; i++) {
      if (i === 0 && j === 0) ways[j]![i] = 1;
      else if (i !== x || j !== y) ways[j]![i] = (ways[j - 1]?.[i] ?? 0) + (ways[j]![i - 1] ?? 0);
    }
  }
  return {
    content: `paths ${width} ${height} ${x} ${y}`,
    sought: `the remainder, divided by 1000, of the number of paths from (0,0) to (${width},${height}) in steps of one to the right or one up that avoid (${x},${y})`,
    answer: ways[height]![width]! % 1000,
  };
}

function simultaneous(rng: Rng): Problem {
  const moduli = rng.sample([5, 7, 8, 9, 11], 3);
  const remainders = moduli.map((m) => rng.int(0, m - 1));
  const product = moduli.reduce((a, b) => a * b, 1);
  const smallest = upTo(product).find((n) => moduli.every((m, i) => n % m === remainders[i]))!;
  const listed = moduli.map((m, i) => `${remainders[i]} when divided by ${m}`).join(', ');
  return {
    content: `simultaneous ${listed}`,
    sought: `the remainder, divided by 1000, of the smallest positive integer that leaves ${listed}`,
    answer: smallest % 1000,
  };
}

function noNeighbours(rng: Rng): Problem {
  const [n, k, isRound] = [rng.int(7, 12), rng.int(3, 4), rng.next() < 0.5];
  let count = 0;
  for (let set = 0; set < 2 ** n; set++) {
    let size = 0;
    for (let left = set; left > 0; left &= left - 1) size++;
    const touches = (set & (set >> 1)) !== 0 || (isRound && (set & 1) !== 0 && set >> (n - 1) !== 0);
    if (size === k && !touches) count++;
  }
  const where = isRound ? 'around a round table' : 'in a row';
  return {
    content: `neighbours ${n} ${k} ${where}`,
    sought: `the number of ways to choose ${k} of ${n} chairs ${where} so that no two of them are neighbours`,
    answer: count % 1000,
  };
}

function boundedSum(rng: Rng): Problem {
  const bounds = [rng.int(4, 12), rng.int(4, 12), rng.int(4, 12)];
  const total = rng.int(9, 20);
  let count = 0;
  for (let x = 0; x <= bounds[0]!; x++) {
    for (let y = 0; y <= bounds[1]!; y++) {
      const z = total - x - y;
      if (z >= 0 && z <= bounds[2]!) count++;
    }
  }
  return {
    content: `bounded ${bounds.join(' ')} ${total}`,
    sought: `the number of triples (x, y, z) of integers with x + y + z = ${total} and 0 <= x <= ${bounds[0]}, 0 <= y <= ${bounds[1]}, 0 <= z <= ${bounds[2]}`,
    answer: count,
  };
}

function recurrence(rng: Rng): Problem {
  const [p, q, a, b, n] = [rng.int(1, 5), rng.int(1, 5), rng.int(0, 9), rng.int(1, 9), rng.int(6, 15)];
  let [before, last] = [a, b];
  for (let i = 2; i <= n; i++) [before, last] = [last, (p * last + q * before) % 1000];
  return {
    content: `recurrence ${p} ${q} ${a} ${b} ${n}`,
    sought: `the remainder of s(${n}) divided by 1000, where s(0) = ${a}, s(1) = ${b} and s(k) = ${p} s(k-1) + ${q} s(k-2)`,
    answer: last,
  };
}

const KINDS = [
  [powerRemainder, divisors],
  [multiples, digitSums],
  [paths, simultaneous],
  [noNeighbours, boundedSum, recurrence],
] as const;

export const competition: Task = {
  name: 'competition',
  levels: 4,
  generate(rng, level): WorldItem {
    const { content, sought, answer } = rng.pick(KINDS[level]!)(rng);
    const question = phrase(rng, level, ASKED).replace('#', sought);
    return {
      task: 'competition',
      level,
      content,
      messages: [{ role: 'user', content: `${question}\n${ANSWER_LINE}` }],
      answer: `Answer: ${answer}`,
    };
  },
  check: checkNumber,
};
