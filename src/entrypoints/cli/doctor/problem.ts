import type { BuildManifest } from '../build/manifest.ts';
import type { Stack } from './stack.ts';

/** What a check found. Codes are part of the API, texts are not. */
export interface Problem {
  readonly code: string;
  /** `error`: work is lost, blocked or refused. `warning`: it costs time or money, or only hurts on a bad day. */
  readonly severity: 'error' | 'warning';
  /** Logical id in the template. */
  readonly resource: string;
  readonly message: string;
  /** What to do. */
  readonly remedy: string;
}

/** What a check may know besides the stack. */
export interface Known {
  /** Of the build that is, or is to be, deployed; `undefined`: none was given. */
  readonly manifest: BuildManifest | undefined;
  /** Connections of the database, said by a person; `undefined`: what the template tells. */
  readonly maxConnections: number | undefined;
}

/** Pure: the same stack and the same build have the same problems. */
export type Check = (stack: Stack, known: Known) => readonly Problem[];
