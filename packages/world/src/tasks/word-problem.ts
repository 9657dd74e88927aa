/**
 * @file Stories that need several operations (after GSM8K, Cobbe et al. 2021). The reply may reason first and ends with
 * `Answer: N`.
 *
 * Level 0: what is bought costs. Level 1: change or an equal share. Level 2: work over time, in boxes. Level 3: shares of
 * a total, one after another.
 */
import type { Rng } from '@quasar/base';
import { ANSWER_LINE, checkNumber } from '../check.ts';
import type { Task, WorldItem } from '../types.ts';
import { counted, NAMES, phrase, THINGS } from '../words.ts';

interface Story {
  /** Numbers and nouns that decide the answer. */
  content: string;
  told: string;
  asked: readonly string[];
  answer: number;
}

function purchase(rng: Rng): Story {
  const who = rng.pick(NAMES);
  const [a, b] = rng.sample(THINGS, 2) as [string, string];
  const [m, n, p, q] = [rng.int(2, 9), rng.int(2, 9), rng.int(2, 19), rng.int(2, 19)];
  return {
    content: `${who} ${m}*${p} ${a} + ${n}*${q} ${b}`,
    told: `${who} buys ${counted(m, a)} at ${p} coins each and ${counted(n, b)} at ${q} coins each.`,
    asked: [`How many coins does ${who} pay?`, `What does ${who} pay in all?`, `Find the sum that ${who} pays.`],
    answer: m * p + n * q,
  };
}

function change(rng: Rng): Story {
  const bought = purchase(rng);
  const who = bought.content.split(' ')[0]!;
  const coins = bought.answer + rng.int(1, 80);
  return {
    content: `${coins} - ${bought.content}`,
    told: `${bought.told} ${who} had ${coins} coins before.`,
    asked: [`How many coins are left?`, `What is left of the coins?`, `Find what remains.`],
    answer: coins - bought.answer,
  };
}

function work(rng: Rng): Story {
  const thing = rng.pick(THINGS);
  const [perHour, hours, perBox] = [rng.int(6, 40), rng.int(3, 12), rng.int(3, 9)];
  const broken = rng.int(1, perHour);
  const whole = perHour * hours - broken;
  return {
    content: `(${perHour}*${hours}-${broken})/${perBox} ${thing}`,
    told: `A machine makes ${counted(perHour, thing)} an hour and works ${hours} hours. ${counted(broken, thing)} of them break. The others go into boxes of ${perBox}.`,
    asked: ['How many boxes are full?', 'Find the number of full boxes.', 'Count the boxes that are full.'],
    answer: Math.floor(whole / perBox),
  };
}

function shares(rng: Rng): Story {
  const [who, other] = rng.sample(NAMES, 2) as [string, string];
  const thing = rng.pick(THINGS);
  const [a, b] = [rng.int(2, 5), rng.int(2, 6)];
  const start = a * b * rng.int(4, 30);
  const afterGift = start - start / a;
  const afterSale = afterGift - Math.floor(afterGift / b);
  const found = rng.int(3, 60);
  return {
    content: `${who} ${other} ${start} 1/${a} 1/${b} +${found} ${thing}`,
    told: `${who} has ${counted(start, thing)} and gives one of every ${a} to ${other}. Of the rest ${who} sells one of every ${b}, as long as there are ${b}. Then ${who} finds ${counted(found, thing)}.`,
    asked: [`How many ${thing}s has ${who} now?`, `Find the number of ${thing}s that ${who} has now.`],
    answer: afterSale + found,
  };
}

export const wordProblem: Task = {
  name: 'word_problem',
  levels: 4,
  generate(rng, level): WorldItem {
    const { content, told, asked, answer } = [purchase, change, work, shares][level]!(rng);
    const question = phrase(rng, level, asked);
    return {
      task: 'word_problem',
      level,
      content,
      messages: [{ role: 'user', content: `${told} ${question}\n${ANSWER_LINE}` }],
      answer: `Answer: ${answer}`,
    };
  },
  check: checkNumber,
};
