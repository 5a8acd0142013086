import type { RowCollector } from './row-collector.ts';
import type { TextWindow } from './text-window.ts';

/**
 * Why reading paused.
 *
 * - `stop`: the window stands at the first record that starts at or after the place to stop
 * - `full`: the batch is full
 * - `more`: what the window holds is no complete record
 * - `end`: the text ended
 * - `over`: no more rows can come, whatever else the text holds: its structure ended, or damage hides where the next record starts
 */
export type Pause = 'stop' | 'full' | 'more' | 'end' | 'over';

/** Reads the records of one text format out of a window. It keeps what it has to remember between calls. */
export interface RecordReader {
  /**
   * Collects the records that start before `stop`, in order, and moves the window's start past them.
   *
   * @param stop byte offset in the text
   */
  read(window: TextWindow, stop: number, into: RowCollector): Pause;

  /** Byte offset of the record that `read` is in the middle of; it may lie before the window. `null`: in none. */
  readonly unfinished: number | null;
}
