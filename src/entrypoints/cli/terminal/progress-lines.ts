import type { Counter } from '../../../domain/ports/ambient.ts';
import type { ProgressSample } from '../run-report.ts';
import {
  formatByteRate,
  formatBytes,
  formatCount,
  formatDuration,
  formatPercentage,
  formatPlural,
  formatRoughDuration,
} from './format.ts';
import { createStyle, type Style } from './style.ts';
import { cutToWidth, widthOf } from './text.ts';

/** How fast a run is just now. */
export interface Pace {
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Of `progressOf`. */
  readonly progressPerSecond: number;
}

/** The newest sample, and the pace smoothed over the ones before. */
export interface ProgressView {
  readonly sample: ProgressSample;
  /** `null` until two samples tell it. */
  readonly pace: Pace | null;
}

/** After this many seconds, an old pace weighs 1/e of a new one. */
const SMOOTHING_SECONDS = 4;

/** Takes one more sample in: an exponentially smoothed pace, whatever the time between samples. */
export function nextView(previous: ProgressView | null, sample: ProgressSample): ProgressView {
  // Before the first sample nothing was read: the run's first seconds count too.
  const before = previous?.sample ?? { seconds: 0, counters: {} };
  const passed = sample.seconds - before.seconds;
  if (passed <= 0) return { sample, pace: previous?.pace ?? null };
  const done = progressOf(sample) ?? 0;
  // While listing went on, nobody knew: then the whole run so far stands for the pace.
  const known = previous === null ? null : progressOf(previous.sample);
  const measured: Pace = {
    rowsPerSecond: increase('rowsRead', before, sample) / passed,
    bytesPerSecond: increase('bytesRead', before, sample) / passed,
    progressPerSecond: known === null ? done / sample.seconds : Math.max(0, done - known) / passed,
  };
  const old = previous?.pace ?? null;
  if (old === null) return { sample, pace: measured };
  const weight = 1 - Math.exp(-passed / SMOOTHING_SECONDS);
  const smoothed = (name: keyof Pace) => old[name] + weight * (measured[name] - old[name]);
  return {
    sample,
    pace: {
      rowsPerSecond: smoothed('rowsPerSecond'),
      bytesPerSecond: smoothed('bytesPerSecond'),
      progressPerSecond: known === null ? measured.progressPerSecond : smoothed('progressPerSecond'),
    },
  };
}

/**
 * How much of the work is done, 0 to 1: half of it is reading, half applying. They share the same processors, so that
 * the one that lags becomes faster once the other is over: the pace of each alone would tell nothing. How
 * many messages there will be is guessed from what was read so far.
 *
 * @returns `null` while listing goes on, or where there is nothing to read
 */
export function progressOf({ counters, bytesToRead, listed }: ProgressSample): number | null {
  if (!listed || bytesToRead <= 0) return null;
  const { bytesRead = 0, messages = 0, applied = 0 } = counters;
  const read = Math.min(1, bytesRead / bytesToRead);
  if (messages === 0 || read === 0) return read;
  return (read + Math.min(1, applied / (messages / read))) / 2;
}

/** Seconds that are left at the smoothed pace; `null` where nobody can tell. */
export function timeLeft({ sample, pace }: ProgressView): number | null {
  const progress = progressOf(sample);
  if (progress === null || progress >= 1 || pace === null || pace.progressPerSecond <= 0) return null;
  return (1 - progress) / pace.progressPerSecond;
}

export interface ProgressLook {
  /** Of the terminal. Lines stay one column short of it, as some terminals wrap after the last one. */
  readonly columns: number;
  readonly color: boolean;
  /** Whether the run is over: averages instead of the pace of now, and no time left. */
  readonly over: boolean;
}

interface Part {
  readonly text: string;
  /** Parts of the highest rank go first where a line is too long. */
  readonly rank: number;
}

/** One line per stage. */
export function renderProgress(view: ProgressView, { columns, color, over }: ProgressLook): string[] {
  const style = createStyle(color);
  const stages: readonly (readonly [string, readonly Part[]])[] = [
    ['dispatch', dispatchParts(view.sample, style)],
    ['transform', transformParts(view, over, style)],
    ['analyze', analyzeParts(view.sample, over, style)],
  ];
  const label = Math.max(...stages.map(([name]) => name.length)) + 2;
  const room = columns - 1;
  return stages.map(([name, parts]) => {
    if (room <= label + 4) return cutToWidth(name, room);
    return style.accent(name.padEnd(label)) + joinWithin(parts, room - label, style);
  });
}

function dispatchParts({ counters, objects, bytesToRead, listed }: ProgressSample, style: Style): Part[] {
  const parts: Part[] = [
    { text: `${formatPlural(objects, 'object')}${listed ? '' : ' listed so far'}`, rank: 0 },
    { text: `${formatBytes(bytesToRead)} to read`, rank: 2 },
  ];
  const sent = counters.sectionsSent ?? 0;
  if (sent > 0) parts.push({ text: `${formatPlural(sent, 'section')} sent`, rank: 3 });
  const retries = (counters.retries ?? 0) + (counters.putsRejected ?? 0);
  if (retries > 0) parts.push({ text: style.warning(formatPlural(retries, 'retry', 'retries')), rank: 4 });
  return parts;
}

function transformParts(view: ProgressView, over: boolean, style: Style): Part[] {
  const { sample } = view;
  const rows = sample.counters.rowsRead ?? 0;
  const failed = sample.counters.rowsFailed ?? 0;
  const pace = over ? averagePace(sample) : view.pace;
  const parts: Part[] = [{ text: formatPlural(rows, 'row'), rank: 0 }];
  if (pace !== null) {
    parts.push({ text: `${formatCount(pace.rowsPerSecond)} rows/s`, rank: 3 });
    parts.push({ text: formatByteRate(pace.bytesPerSecond), rank: 4 });
  }
  const failures = `${formatCount(failed)} failed`;
  parts.push({ text: failed > 0 ? style.bad(failures) : failures, rank: failed > 0 ? 1 : 5 });
  if (over) {
    parts.push({ text: formatDuration(sample.seconds), rank: 2 });
    return parts;
  }
  const progress = progressOf(sample);
  // Under way it never says 100 %.
  if (progress !== null) parts.push({ text: formatPercentage(Math.min(progress, 0.99), 0), rank: 1 });
  const left = timeLeft(view);
  if (left !== null) parts.push({ text: `${formatRoughDuration(left)} left`, rank: 2 });
  return parts;
}

function analyzeParts({ counters }: ProgressSample, over: boolean, style: Style): Part[] {
  const parts: Part[] = [
    { text: `${formatPlural(counters.applied ?? 0, 'message')} applied`, rank: 0 },
    { text: formatPlural(counters.framesApplied ?? 0, 'frame'), rank: 3 },
    { text: formatPlural(counters.duplicates ?? 0, 'duplicate'), rank: 4 },
  ];
  const waiting = (counters.messages ?? 0) - (counters.applied ?? 0);
  if (waiting > 0 && !over) parts.push({ text: `${formatCount(waiting)} waiting`, rank: 2 });
  const opened = (counters.failuresOpened ?? 0) - (counters.failuresClosed ?? 0);
  if (opened > 0) parts.push({ text: style.bad(formatPlural(opened, 'open failure')), rank: 1 });
  return parts;
}

function joinWithin(parts: readonly Part[], room: number, style: Style): string {
  const separator = style.faint(' · ');
  let kept = parts;
  for (;;) {
    const text = kept.map((part) => part.text).join(separator);
    if (widthOf(text) <= room) return text;
    // A lone part is cut without its colour: a cut escape would colour all that follows.
    if (kept.length === 1) return cutToWidth(stripStyle(kept[0]!.text), room);
    const last = Math.max(...kept.map((part) => part.rank));
    kept = kept.filter((part) => part.rank !== last);
  }
}

function stripStyle(text: string): string {
  return text.replace(/\u001b\[[0-9;]*m/g, '');
}

/** The pace over the whole run. */
export function averagePace({ seconds, counters }: ProgressSample): Omit<Pace, 'progressPerSecond'> | null {
  if (seconds <= 0) return null;
  return {
    rowsPerSecond: (counters.rowsRead ?? 0) / seconds,
    bytesPerSecond: (counters.bytesRead ?? 0) / seconds,
  };
}

function increase(counter: Counter, before: Pick<ProgressSample, 'counters'>, after: ProgressSample): number {
  return Math.max(0, (after.counters[counter] ?? 0) - (before.counters[counter] ?? 0));
}
