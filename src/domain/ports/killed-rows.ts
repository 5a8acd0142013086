import type { LakeObject } from '../lake-object.ts';

/**
 * Keeps which rows hung a process or killed it, so that they are not given to `transform` again. A verdict belongs to a build: the
 * `transform` of another one may be mended.
 */
export interface KilledRows {
  /** The verdicts on rows of an object, by ascending coordinate. One that was added before the call is among them. */
  of(scope: KilledScope, signal: AbortSignal): Promise<readonly KilledRow[]>;

  /** Resolves when the verdict is kept. Twice is harmless: the first verdict on a row stays. */
  add(scope: KilledScope, row: KilledRow, signal: AbortSignal): Promise<void>;
}

/** Whose rows: of one version of an object, as one build of a generation reads it. The size tells nothing apart. */
export interface KilledScope {
  readonly generation: string;
  readonly build: string;
  readonly object: LakeObject;
}

/** A verdict on a row. */
export interface KilledRow {
  readonly section: number;
  /** Of the row, as in its position. */
  readonly coordinate: number;
  /** `hung`: it did not come to an end in time; `died`: the process ended in it. */
  readonly how: 'hung' | 'died';
  /** For people: what its failure says. */
  readonly message: string;
}
