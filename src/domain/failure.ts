import type { Position } from './position.ts';

/** Where on its way a row or message failed. */
export type Stage = 'open' | 'read' | 'transform' | 'analyze' | 'findings';

/** A row or message that could not be processed. */
export interface Failure {
  /** Made of generation and position alone, so that the same failure has the same id in every try. */
  readonly id: string;
  readonly position: Position;
  readonly stage: Stage;
  readonly code: string;
  readonly message: string;
  /** How many rows of the object it stands for: 1, or more where a whole stretch cannot be read; 0 for a message or an object. */
  readonly rows: number;
  /** The row or message itself, encoded by `encodeValue`; `null` where it is not kept (too large, or unreadable). */
  readonly payload: Uint8Array | null;
}

/** Payloads over this many encoded bytes are not kept: the source is read again instead. */
export const MAX_PAYLOAD_BYTES = 65_536;

/** Longer messages are cut: they are for people. */
export const MAX_FAILURE_MESSAGE_LENGTH = 1_000;
