import fc from 'fast-check';
import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import type { LogFields } from '../../src/domain/ports/ambient.ts';
import type { ProgressSample } from '../../src/entrypoints/cli/run-report.ts';
import {
  nextView,
  progressOf,
  renderProgress,
  timeLeft,
} from '../../src/entrypoints/cli/terminal/progress-lines.ts';
import { createProgress } from '../../src/entrypoints/cli/terminal/progress.ts';

function sampleAt(seconds: number, more: Partial<ProgressSample> = {}): ProgressSample {
  return {
    seconds,
    counters: {
      rowsRead: seconds * 100_000,
      bytesRead: seconds * 1_000_000,
      applied: seconds * 90_000,
      framesApplied: seconds * 10,
    },
    objects: 3,
    bytesToRead: 20_000_000,
    listed: true,
    ...more,
  };
}

const wide = { columns: 120, color: false, over: false };

describe('the lines of progress', () => {
  it('show one line per stage', () => {
    const view = nextView(nextView(null, sampleAt(4)), sampleAt(5));
    expect(renderProgress(view, wide)).toEqual([
      'dispatch   3 objects · 20.0 MB to read',
      'transform  500,000 rows · 100,000 rows/s · 1.0 MB/s · 0 failed · 25% · 15 s left',
      'analyze    450,000 messages applied · 50 frames · 0 duplicates',
    ]);
  });

  it('tell no share and no time left while the listing goes on', () => {
    const view = nextView(null, sampleAt(5, { listed: false }));
    const lines = renderProgress(view, wide).join('\n');
    expect(lines).toContain('3 objects listed so far');
    expect(lines).not.toMatch(/%|left/);
    expect(timeLeft(view)).toBeNull();
    // As soon as it is over, the whole run so far tells: 1 MB of 20 a second.
    expect(timeLeft(nextView(view, sampleAt(5.1)))).toBeCloseTo(14.9);
  });

  it('count applying as half of the work', () => {
    const counters = { rowsRead: 500_000, bytesRead: 10_000_000, messages: 1_000_000, applied: 200_000 };
    // Half is read, and of 2,000,000 messages that are to be expected a tenth is applied: 30 % in 10 s.
    const half = nextView(null, sampleAt(10, { counters }));
    expect(progressOf(half.sample)).toBeCloseTo(0.3);
    expect(timeLeft(half)).toBeCloseTo(70 / 3);
    const read = nextView(null, sampleAt(10, { counters: { ...counters, bytesRead: 20_000_000 } }));
    expect(renderProgress(read, wide)[1]).toContain('60% · 7 s left');
    expect(renderProgress(read, wide)[2]).toContain('800,000 waiting');
    const done = nextView(
      null,
      sampleAt(10, { counters: { ...counters, bytesRead: 20_000_000, applied: 1_000_000 } }),
    );
    expect(timeLeft(done)).toBeNull();
    expect(renderProgress(done, wide)[1]).toMatch(/99%$/);
  });

  it('tell averages at the end', () => {
    const view = nextView(nextView(null, sampleAt(1)), {
      ...sampleAt(20),
      counters: { rowsRead: 3_000_000, bytesRead: 17_000_000 },
    });
    expect(renderProgress(view, { ...wide, over: true })[1]).toBe(
      'transform  3,000,000 rows · 150,000 rows/s · 0.9 MB/s · 0 failed · 20.0 s',
    );
  });

  it('smooth the pace by time, not by the number of samples', () => {
    let often = nextView(null, sampleAt(1));
    for (let tenth = 1; tenth <= 40; tenth++)
      often = nextView(
        often,
        sampleAt(1 + tenth / 10, { counters: { rowsRead: 100_000, bytesRead: 1_000_000 } }),
      );
    const once = nextView(
      nextView(null, sampleAt(1)),
      sampleAt(5, { counters: { rowsRead: 100_000, bytesRead: 1_000_000 } }),
    );
    expect(often.pace!.rowsPerSecond).toBeCloseTo(once.pace!.rowsPerSecond, 3);
    expect(once.pace!.rowsPerSecond).toBeCloseTo(100_000 / Math.E, 3);
  });

  it('fit every width, and drop what matters least first', () => {
    const view = nextView(
      null,
      sampleAt(5, {
        counters: { rowsRead: 5e9, rowsFailed: 12, retries: 3, failuresOpened: 9, bytesRead: 1e6 },
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 150 }), fc.boolean(), fc.boolean(), (columns, color, over) => {
        for (const line of renderProgress(view, { columns, color, over }))
          expect(stringWidth(line)).toBeLessThan(Math.max(2, columns));
      }),
    );
    const [, transform] = renderProgress(view, { columns: 50, color: false, over: false });
    expect(transform).toBe('transform  5,000,000,000 rows · 12 failed · 5%');
  });
});

interface Terminal {
  readonly writes: string[];
  readonly logged: [LogFields, string][];
  time: number;
}

function terminal(isTerminal: boolean, columns = 100) {
  const seen: Terminal = { writes: [], logged: [], time: 1_000 };
  const progress = createProgress({
    stream: { write: (text) => seen.writes.push(text) },
    isTerminal,
    columns: () => columns,
    now: () => seen.time,
    log: { info: (fields, message) => seen.logged.push([fields, message]) },
  });
  return { seen, progress };
}

/** What stands on the screen: follows the few sequences that the progress uses, and refuses all others. */
function screenOf(writes: readonly string[]): string[] {
  const screen: string[] = [''];
  let row = 0;
  for (const [token] of writes.join('').matchAll(/\u001b\[[?0-9]*[A-Za-z]|\n|\r|[^\u001b\n\r]+/g)) {
    const up = /^\u001b\[(\d+)A$/.exec(token);
    if (up !== null) row -= Number(up[1]);
    else if (token === '\u001b[J') screen.splice(row, Infinity, '');
    else if (token === '\n') screen[++row] ??= '';
    else if (token === '\r' || /^\u001b\[\?(25|7)[lh]$/.test(token)) continue;
    else if (token.startsWith('\u001b')) throw new Error(`unknown sequence ${JSON.stringify(token)}`);
    else screen[row] += token;
  }
  return screen;
}

describe('progress on a terminal', () => {
  it('is drawn in place, at most ten times a second, and ends with the last sample', () => {
    const { seen, progress } = terminal(true);
    for (let step = 0; step <= 1_000; step += 10) {
      seen.time = 1_000 + step;
      progress.update(sampleAt(1 + step / 1_000));
    }
    expect(seen.writes).toHaveLength(11);
    progress.update(sampleAt(2.01));
    progress.stop('done');
    progress.stop('done');
    progress.update(sampleAt(3));
    expect(seen.writes).toHaveLength(12);
    const screen = screenOf(seen.writes);
    expect(screen).toHaveLength(4);
    expect(screen[1]).toMatch(/^transform {2}201,000 rows/);
    expect(screen[3]).toBe('');
    expect(seen.logged).toEqual([]);
  });

  it('shows the cursor again and lets lines wrap again at the end of every single write', () => {
    const { seen, progress } = terminal(true);
    progress.update(sampleAt(1));
    seen.time += 200;
    progress.update(sampleAt(2));
    progress.writeAbove('a warning\n');
    progress.stop('done');
    expect(seen.writes).toHaveLength(4);
    for (const write of seen.writes) {
      expect(write.lastIndexOf('\u001b[?25h')).toBeGreaterThan(write.lastIndexOf('\u001b[?25l'));
      expect(write.lastIndexOf('\u001b[?7h')).toBeGreaterThan(write.lastIndexOf('\u001b[?7l'));
    }
  });

  it('makes room for other lines above it', () => {
    const { seen, progress } = terminal(true);
    progress.update(sampleAt(1));
    progress.writeAbove('a warning');
    progress.writeAbove('another\n');
    progress.stop('done');
    const screen = screenOf(seen.writes);
    expect(screen.slice(0, 2)).toEqual(['a warning', 'another']);
    expect(screen).toHaveLength(6);
  });

  it('writes nothing where there was nothing to tell', () => {
    const { seen, progress } = terminal(true);
    progress.stop('done');
    expect(seen.writes).toEqual([]);
  });
});

describe('progress elsewhere', () => {
  it('is one plain log line every five seconds, and one at the end', () => {
    const { seen, progress } = terminal(false);
    for (let second = 1; second <= 12; second++) {
      seen.time = 1_000 + second * 1_000;
      progress.update(sampleAt(second));
    }
    progress.stop('done');
    progress.stop('done');
    expect(seen.writes).toEqual([]);
    expect(seen.logged.map(([fields, message]) => [fields['seconds'], message])).toEqual([
      [5, 'progress'],
      [10, 'progress'],
      [12, 'done'],
    ]);
    expect(seen.logged[1]![0]).toEqual({
      seconds: 10,
      objects: 3,
      rows: 1_000_000,
      rowsPerSecond: 100_000,
      megabytesPerSecond: 1,
      rowsFailed: 0,
      messages: 0,
      applied: 900_000,
      frames: 100,
      duplicates: 0,
      failures: 0,
      percent: 50,
      secondsLeft: 10,
    });
  });
});
