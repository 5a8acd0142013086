import { isDeepStrictEqual } from 'node:util';

/** What the code under test said of an input. */
export type Verdict = 'accepted' | 'refused';

/** A target with what it is tried on. */
export interface OpenTarget {
  /** Sound inputs, which are then mutated. */
  readonly corpus: readonly Uint8Array[];
  /**
   * Gives one input to the code under test, and what it accepts to a second reader. Whatever it throws is a finding: a refusal is
   * an error with one of the codes that the reader promises.
   */
  check(input: Uint8Array): Verdict | Promise<Verdict>;
}

export interface Target {
  readonly name: string;
  /** Its part of the inputs of a campaign, against the others'. */
  readonly share: number;
  /** What means something to the reader, to be put in anywhere. */
  readonly tokens: readonly string[];
  /** Whether inputs are JSON, so that their values and not only their bytes are mutated. */
  readonly isJson: boolean;
  open(): OpenTarget | Promise<OpenTarget>;
}

/** @throws Error where two readers do not give the same */
export function agree(what: string, ours: unknown, theirs: unknown): void {
  if (isDeepStrictEqual(ours, theirs)) return;
  throw new Error(`${what} differ: ${shown(ours)} and ${shown(theirs)}`);
}

/** @throws Error */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

const SHOWN = 400;

function shown(value: unknown): string {
  const text =
    JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? `${inner}n` : inner)) ??
    'undefined';
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}
