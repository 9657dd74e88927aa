/**
 * @file The vocabulary of the world.
 *
 * Few, short, regular words: a small byte-pair vocabulary holds nearly all of them as single tokens, and a model
 * of a million parameters meets each of them thousands of times. Adding a word changes every seeded item.
 */
import { Rng } from '@quasar/base';

export const NAMES: readonly string[] =
  'Ada Amy Ben Bob Cal Dan Eva Fay Gus Ian Jim Kim Leo Mia Ned Ola Pam Ray Sam Tim Una Val Wes Zoe'.split(' ');

export const CITIES: readonly string[] = 'Rome Oslo Lima Bern Riga Bonn Cairo Paris Delhi Kyoto Quito Accra'.split(' ');

export const ANIMALS: readonly string[] = 'ant ape bat bee cat cow dog fox hen owl pig rat'.split(' ');

export const FRUITS: readonly string[] = 'apple date fig grape kiwi lemon lime mango pear plum'.split(' ');

export const COLOURS: readonly string[] = 'black blue gold gray green pink red white'.split(' ');

/** Things that are counted; the plural is always `-s`. */
export const THINGS: readonly string[] =
  'bag ball bell book card coin cup drum egg hat jar key kite lamp map nut pen pin ring seed'.split(' ');

/** Every lower-case noun and colour, for tasks in which a word stands only for itself. */
export const WORDS: readonly string[] = [...ANIMALS, ...FRUITS, ...COLOURS, ...THINGS];

/** `1 fig`, `3 figs`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/**
 * One phrasing out of a list ordered from plain to rare: level 0 knows one, level 1 two, later levels all. An
 * `OtherWording` draws the same and says another one.
 */
export function phrase(rng: Rng, level: number, phrasings: readonly string[]): string {
  const known = phrasings.slice(0, level === 0 ? 1 : level === 1 ? 2 : phrasings.length);
  const at = rng.int(0, known.length - 1);
  const shift = rng instanceof OtherWording ? rng.shift : 0;
  return phrasings[(at + shift) % phrasings.length] as string;
}

/** The draws of a seed with other phrasings: what is asked stays, how it is asked does not. */
export class OtherWording extends Rng {
  readonly shift: number;

  constructor(seed: string, shift: number) {
    super(seed);
    this.shift = shift;
  }
}
