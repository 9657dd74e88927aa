/** @file Engines kept loaded: the same few models are asked for again and again while a round is measured. */
import { Engine } from '@quasar/infer';

/** A student and the teacher. */
const DEFAULT_CAPACITY = 2;

export class EngineCache {
  readonly #capacity: number;
  readonly #threads: number | undefined;
  /** By directory, least recently used first. */
  readonly #engines = new Map<string, Engine>();

  constructor(options: { capacity?: number | undefined; threads?: number | undefined } = {}) {
    this.#capacity = options.capacity ?? DEFAULT_CAPACITY;
    this.#threads = options.threads;
  }

  /**
   * Engines for all of `directories`, which therefore stay loaded together.
   * @throws QuasarError as `Engine.load`
   */
  async get(directories: readonly string[]): Promise<Engine[]> {
    const wanted: Engine[] = [];
    for (const directory of directories) {
      const engine = this.#engines.get(directory) ?? (await this.#load(directory, directories));
      this.#engines.delete(directory);
      this.#engines.set(directory, engine);
      wanted.push(engine);
    }
    return wanted;
  }

  dispose(): void {
    for (const engine of this.#engines.values()) engine.dispose();
    this.#engines.clear();
  }

  /** Room is made before, not after: two large models at once may be one too many. */
  async #load(directory: string, keep: readonly string[]): Promise<Engine> {
    for (const [name, engine] of this.#engines) {
      if (this.#engines.size < this.#capacity) break;
      if (keep.includes(name)) continue;
      engine.dispose();
      this.#engines.delete(name);
    }
    return Engine.load(directory, this.#threads === undefined ? {} : { threads: this.#threads });
  }
}
