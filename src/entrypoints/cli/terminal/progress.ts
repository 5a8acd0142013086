import type { Log, LogFields } from '../../../domain/ports/ambient.ts';
import type { ProgressSample } from '../run-report.ts';
import {
  averagePace,
  nextView,
  progressOf,
  renderProgress,
  timeLeft,
  type ProgressView,
} from './progress-lines.ts';
import { widthOf } from './text.ts';

export interface ProgressOptions {
  /** Where the lines are drawn. */
  readonly stream: { write(text: string): unknown };
  /** Whether the stream is a terminal that can move its cursor; else plain log lines are written. */
  readonly isTerminal: boolean;
  /** Default `false`. */
  readonly color?: boolean;
  /** Of the terminal, just now. */
  readonly columns: () => number;
  /** Milliseconds; only differences count. */
  readonly now: () => number;
  readonly log: Pick<Log, 'info'>;
}

/** Shows how far a run is. Cheap to call often: it draws at most ten times a second, and logs every five seconds. */
export interface Progress {
  update(sample: ProgressSample): void;
  /** Writes something else (a log line) to the same terminal: above the progress, which is drawn anew. */
  writeAbove(text: string): void;
  /** Shows the last sample as the end of the run and leaves the cursor below it. Twice is harmless. */
  stop(how: 'done' | 'stopped'): void;
}

/** Between two drawings on a terminal, in milliseconds. */
const REDRAW_MS = 100;
/** Between two log lines, in milliseconds. */
const LOG_EVERY_MS = 5_000;

/*
 * The cursor is hidden and the wrapping of lines switched off only within one write: whatever ends the process
 * (Ctrl-C, `kill -9`), the terminal is left as it was.
 */
const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const NO_WRAP = '\u001b[?7l';
const WRAP = '\u001b[?7h';
const CLEAR_BELOW = '\u001b[J';

export function createProgress(options: ProgressOptions): Progress {
  return options.isTerminal ? createDrawnProgress(options) : createLoggedProgress(options);
}

function createDrawnProgress({ stream, color = false, columns, now }: ProgressOptions): Progress {
  let view: ProgressView | null = null;
  let drawn: readonly string[] = [];
  let drawnAt = Number.NEGATIVE_INFINITY;
  let stopped = false;

  const draw = (over: boolean, above = ''): void => {
    const width = Math.max(1, columns());
    const lines = view === null ? [] : renderProgress(view, { columns: width, color, over });
    stream.write(
      HIDE_CURSOR +
        NO_WRAP +
        backToStart(drawn, width) +
        // Clears what was there before the text that takes its place, so that no end of an older, longer line stays.
        CLEAR_BELOW +
        (above === '' ? '' : WRAP + above + NO_WRAP) +
        lines.map((line) => `${line}\n`).join('') +
        WRAP +
        SHOW_CURSOR,
    );
    drawn = lines;
    drawnAt = now();
  };

  return {
    update(sample) {
      if (stopped) return;
      view = nextView(view, sample);
      if (now() - drawnAt >= REDRAW_MS) draw(false);
    },
    writeAbove(text) {
      if (stopped || drawn.length === 0) stream.write(text);
      else draw(false, text.endsWith('\n') ? text : `${text}\n`);
    },
    stop() {
      if (stopped) return;
      stopped = true;
      if (view !== null) draw(true);
    },
  };
}

/** From below the lines to the start of the first; a window that was made narrower has wrapped them since. */
function backToStart(lines: readonly string[], columns: number): string {
  const rows = lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0);
  return rows === 0 ? '' : `\u001b[${rows}A\r`;
}

function createLoggedProgress({ stream, now, log }: ProgressOptions): Progress {
  const startedAt = now();
  let view: ProgressView | null = null;
  let lastAt = startedAt;
  let stopped = false;
  return {
    update(sample) {
      if (stopped) return;
      view = nextView(view, sample);
      if (now() - lastAt < LOG_EVERY_MS) return;
      lastAt = now();
      log.info(progressFields(view, false), 'progress');
    },
    writeAbove(text) {
      stream.write(text);
    },
    stop(how) {
      if (stopped) return;
      stopped = true;
      if (view !== null) log.info(progressFields(view, true), how);
    },
  };
}

/** What a log line tells: plain numbers, for programs to read. Rates over the whole run once it is over. */
export function progressFields(view: ProgressView, over: boolean): LogFields {
  const { sample } = view;
  const { counters } = sample;
  const pace = over ? averagePace(sample) : view.pace;
  const progress = progressOf(sample);
  const left = over ? null : timeLeft(view);
  return {
    seconds: rounded(sample.seconds, 1),
    objects: sample.objects,
    rows: counters.rowsRead ?? 0,
    ...(pace === null
      ? {}
      : {
          rowsPerSecond: Math.round(pace.rowsPerSecond),
          megabytesPerSecond: rounded(pace.bytesPerSecond / 1_000_000, 1),
        }),
    rowsFailed: counters.rowsFailed ?? 0,
    messages: counters.messages ?? 0,
    applied: counters.applied ?? 0,
    frames: counters.framesApplied ?? 0,
    duplicates: counters.duplicates ?? 0,
    failures: (counters.failuresOpened ?? 0) - (counters.failuresClosed ?? 0),
    ...(progress === null || over ? {} : { percent: Math.min(99, Math.floor(progress * 100)) }),
    ...(left === null ? {} : { secondsLeft: Math.ceil(left) }),
  };
}

function rounded(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}
