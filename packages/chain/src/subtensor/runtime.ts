/**
 * @file One version of a chain's runtime, as its metadata describes it: calls, storage and runtime APIs found by name.
 *
 * Runtimes differ (spec 293, 365 and 425 have different calls for the same thing), so nothing is assumed: every codec is
 * built from the metadata of the very block that is read. What a runtime lacks is `chain.call_missing`.
 */
import { getDynamicBuilder, getLookupFn, type MetadataLookup } from '@polkadot-api/metadata-builders';
import { decAnyMetadata, unifyMetadata } from '@polkadot-api/substrate-bindings';
import { QuasarError } from '@quasar/base';
import { requireShape } from './shape.ts';

/** The parts of a codec that are used here. */
export interface ValueCodec {
  enc(value: unknown): Uint8Array;
  dec(bytes: Uint8Array | string): unknown;
}

export interface StorageEntry {
  /** Number of keys. */
  keyCount: number;
  /** Full key of an entry, or the prefix of all entries under the given first keys; hex. */
  key(...keys: unknown[]): string;
  /** The keys in a full storage key. */
  keysOf(key: string): unknown[];
  value: ValueCodec;
  /** What an absent entry means; undefined: nothing. */
  fallback: unknown;
}

export interface SignedExtension {
  identifier: string;
  extra: ValueCodec;
  additional: ValueCodec;
  /** Neither adds a byte. */
  isEmpty: boolean;
  /** Both are an Option, whose None is a zero byte, or empty. */
  canBeNone: boolean;
}

export class Runtime {
  readonly specName: string;
  readonly specVersion: number;
  readonly transactionVersion: number;
  readonly #lookup: MetadataLookup;
  readonly #builder: ReturnType<typeof getDynamicBuilder>;
  readonly #storage = new Map<string, StorageEntry>();

  /** Throws `chain.protocol` when `metadata` cannot be read. @param metadata SCALE, versions 14 to 16 */
  constructor(metadata: Uint8Array, version: { specName: string; specVersion: number; transactionVersion: number }) {
    this.specName = version.specName;
    this.specVersion = version.specVersion;
    this.transactionVersion = version.transactionVersion;
    try {
      this.#lookup = getLookupFn(unifyMetadata(decAnyMetadata(metadata)));
      this.#builder = getDynamicBuilder(this.#lookup);
    } catch (cause) {
      throw new QuasarError('chain.protocol', `the metadata of runtime ${version.specVersion} cannot be read`, {
        hint: 'another node of the same network may answer better',
        cause,
      });
    }
  }

  get hasRuntimeApis(): boolean {
    return this.#lookup.metadata.apis.length > 0;
  }

  hasCall(pallet: string, name: string): boolean {
    return this.#callNames(pallet).includes(name);
  }

  hasStorage(pallet: string, entry: string): boolean {
    return this.#pallet(pallet)?.storage?.items.some((item) => item.name === entry) ?? false;
  }

  hasApi(api: string, method: string): boolean {
    return this.#lookup.metadata.apis.some((a) => a.name === api && a.methods.some((m) => m.name === method));
  }

  /** Encoded call: pallet index, call index, arguments by name. Throws `chain.call_missing`, `chain.invalid_call`. */
  encodeCall(pallet: string, name: string, args: Record<string, unknown>): Uint8Array {
    if (!this.hasCall(pallet, name)) throw this.missing(`the call ${pallet}.${name}`);
    const { codec, location } = this.#builder.buildCall(pallet, name);
    try {
      const body = codec.enc(args);
      return Uint8Array.from([...location, ...body]);
    } catch (cause) {
      throw new QuasarError('chain.invalid_call', `the arguments do not fit ${pallet}.${name} of this runtime`, {
        cause,
      });
    }
  }

  /** The inverse of `encodeCall`, in the form that a call takes as the argument of another. Throws `chain.protocol`. */
  decodeCall(bytes: Uint8Array): { type: string; value: { type: string; value: unknown } } {
    const type = this.#lookup.call;
    if (type === null) throw this.missing('the type of calls');
    return this.decode(this.#builder.buildDefinition(type) as ValueCodec, bytes, 'a call') as {
      type: string;
      value: { type: string; value: unknown };
    };
  }

  /** Throws `chain.call_missing`. */
  storage(pallet: string, entry: string): StorageEntry {
    const name = `${pallet}.${entry}`;
    const known = this.#storage.get(name);
    if (known) return known;
    if (!this.hasStorage(pallet, entry)) throw this.missing(`the storage ${name}`);
    const { keys, value, len, fallback } = this.#builder.buildStorage(pallet, entry);
    const type = this.#pallet(pallet)?.storage?.items.find((item) => item.name === entry)?.type;
    const found: StorageEntry = {
      keyCount: len,
      key: (...parts) => keys.enc(...parts),
      keysOf: (key) => keys.dec(key),
      value: this.#checked(type?.tag === 'map' ? type.value.value : type?.value, value as ValueCodec),
      fallback,
    };
    this.#storage.set(name, found);
    return found;
  }

  /** Throws `chain.call_missing`. */
  api(api: string, method: string): { args: ValueCodec; value: ValueCodec } {
    if (!this.hasApi(api, method)) throw this.missing(`the runtime API ${api}.${method}`);
    const { args, value } = this.#builder.buildRuntimeCall(api, method);
    const output = this.#lookup.metadata.apis
      .find((a) => a.name === api)
      ?.methods.find((m) => m.name === method)?.output;
    return {
      args: { enc: (v) => args.enc(v as unknown[]), dec: (v) => args.dec(v) },
      value: this.#checked(output, value as ValueCodec),
    };
  }

  /** Undefined when the runtime has no such constant. */
  constant(pallet: string, name: string): unknown {
    const found = this.#pallet(pallet)?.constants.find((constant) => constant.name === name);
    if (!found) return undefined;
    return this.decode(this.#builder.buildConstant(pallet, name) as ValueCodec, found.value, `${pallet}.${name}`);
  }

  /** In the order in which an extrinsic carries them. */
  signedExtensions(): SignedExtension[] {
    const extensions = this.#lookup.metadata.extrinsic.signedExtensions[0] ?? [];
    return extensions.map(({ identifier, type, additionalSigned }) => {
      const kinds = [this.#lookup(type).type, this.#lookup(additionalSigned).type];
      return {
        identifier,
        extra: this.#builder.buildDefinition(type) as ValueCodec,
        additional: this.#builder.buildDefinition(additionalSigned) as ValueCodec,
        isEmpty: kinds.every((kind) => kind === 'void'),
        canBeNone: kinds.every((kind) => kind === 'void' || kind === 'option'),
      };
    });
  }

  /** Versions of the extrinsic format that the runtime takes. */
  get extrinsicVersions(): readonly number[] {
    return this.#lookup.metadata.extrinsic.version;
  }

  /** Decodes what a node sent. Throws `chain.protocol`. */
  decode(codec: ValueCodec, bytes: Uint8Array | string, what: string): unknown {
    try {
      return codec.dec(bytes);
    } catch (cause) {
      throw new QuasarError('chain.protocol', `${what} cannot be decoded with the metadata of this runtime`, {
        hint: 'the answer is damaged or of another runtime; another node may answer better',
        cause,
      });
    }
  }

  /** `codec`, which reads nothing but exactly one value of its type. */
  #checked(type: number | undefined, codec: ValueCodec): ValueCodec {
    if (type === undefined) return codec;
    return {
      enc: (value) => codec.enc(value),
      dec: (answer) => {
        const bytes = typeof answer === 'string' ? new Uint8Array(Buffer.from(answer.slice(2), 'hex')) : answer;
        requireShape(this.#lookup(type), bytes);
        return codec.dec(bytes);
      },
    };
  }

  missing(what: string): QuasarError {
    return new QuasarError('chain.call_missing', `${this.specName} ${this.specVersion} does not have ${what}`, {
      hint: 'this runtime is older or newer than what Quasar knows; look for a newer version of Quasar',
    });
  }

  #pallet(name: string) {
    return this.#lookup.metadata.pallets.find((pallet) => pallet.name === name);
  }

  #callNames(pallet: string): string[] {
    const type = this.#pallet(pallet)?.calls?.type;
    if (type === undefined) return [];
    const calls = this.#lookup(type);
    return calls.type === 'enum' ? Object.keys(calls.value) : [];
  }
}
