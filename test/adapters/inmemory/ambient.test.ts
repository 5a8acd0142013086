import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs } from '../../../src/domain/retry.ts';
import { ManualClock, SystemClock } from '../../../src/adapters/inmemory/clock.ts';
import { Heap } from '../../../src/adapters/inmemory/heap.ts';
import { Limiter } from '../../../src/adapters/inmemory/limiter.ts';
import { InMemoryMetrics } from '../../../src/adapters/inmemory/metrics.ts';
import { SeededRandom, SystemRandom } from '../../../src/adapters/inmemory/random.ts';

const never = new AbortController().signal;

describe('ManualClock', () => {
  it('wakes sleepers in the order of their times, then of their coming, each at its time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: -5, max: 50 }), { maxLength: 30 }), async (delays) => {
        const clock = new ManualClock(1_000);
        const woken: [number, number][] = [];
        const sleeps = delays.map(async (ms, which) => {
          await clock.sleep(ms, never);
          woken.push([which, clock.now()]);
        });
        await clock.advance(50);
        await Promise.all(sleeps);
        const expected = delays
          .map((ms, which) => [which, 1_000 + Math.max(0, ms)] as [number, number])
          .toSorted((a, b) => a[1] - b[1] || a[0] - b[0]);
        expect(woken).toEqual(expected);
        expect(clock.now()).toBe(1_050);
      }),
    );
  });

  it('lets whoever was woken sleep again within the same advance', async () => {
    const clock = new ManualClock(0);
    const times: number[] = [];
    const beat = async () => {
      while (times.length < 5) {
        await clock.sleep(10, never);
        times.push(clock.now());
      }
    };
    const beating = beat();
    await clock.advance(34);
    expect(times).toEqual([10, 20, 30]);
    expect(clock.nextDue()).toBe(40);
    await clock.runUntil(beating);
    expect(times).toEqual([10, 20, 30, 40, 50]);
    expect(clock.nextDue()).toBe(null);
  });

  it('rejects an aborted sleep with the reason, and does not wait for it', async () => {
    const clock = new ManualClock(0);
    const stop = new AbortController();
    const sleeping = expect(clock.sleep(10, stop.signal)).rejects.toThrow('enough');
    stop.abort(new Error('enough'));
    await sleeping;
    expect(clock.nextDue()).toBe(null);
    await expect(clock.sleep(10, stop.signal)).rejects.toThrow('enough');
  });

  it('tells of a promise that would never settle', async () => {
    await expect(new ManualClock().runUntil(new Promise(() => undefined))).rejects.toThrow('nothing is due');
  });
});

describe('SystemClock', () => {
  it('sleeps, and stops sleeping when it is told to', async () => {
    const clock = new SystemClock();
    await clock.sleep(1, never);
    await clock.sleep(-1, never);
    const stop = new AbortController();
    // Longer than a Node timer can: it would fire at once.
    const sleeping = expect(clock.sleep(2 ** 40, stop.signal)).rejects.toThrow('enough');
    await clock.sleep(2, never);
    stop.abort(new Error('enough'));
    await sleeping;
    await expect(clock.sleep(1, stop.signal)).rejects.toThrow('enough');
  });
});

describe('Random', () => {
  it('repeats itself for the same seed', () => {
    const draw = (seed: number) => {
      const random = new SeededRandom({ clock: new ManualClock(0) }, seed);
      return [random.next(), random.id(), random.next()];
    };
    expect(draw(42)).toEqual(draw(42));
    expect(draw(42)).not.toEqual(draw(43));
  });

  it('is spread evenly over [0, 1)', () => {
    const random = new SeededRandom({ clock: new ManualClock(0) }, 1);
    const buckets = new Array<number>(16).fill(0);
    for (let draws = 0; draws < 16_000; draws++) {
      const value = random.next();
      expect(value >= 0 && value < 1).toBe(true);
      buckets[Math.floor(value * 16)]!++;
    }
    // 1,000 ± 5 standard deviations.
    for (const count of buckets) expect(Math.abs(count - 1_000)).toBeLessThan(155);
  });

  it.each(['seeded', 'system'])(
    'makes ids that differ and sort by the time at which they were made: %s',
    async (kind) => {
      const clock = new ManualClock();
      const random = kind === 'seeded' ? new SeededRandom({ clock }, 1) : new SystemRandom({ clock });
      const ids: string[] = [];
      for (let at = 0; at < 2_000; at++) {
        if (at % 100 === 0) await clock.advance(at % 3);
        ids.push(random.id());
      }
      expect(new Set(ids).size).toBe(2_000);
      expect(ids.toSorted()).toEqual(ids);
      for (const id of ids) expect(id).toMatch(/^[0-9a-z-]{1,40}$/);
    },
  );

  it('keeps ids in order where the clock is set back', () => {
    let now = Date.UTC(2026, 0);
    const clock = { now: () => now, sleep: () => Promise.resolve() };
    const random = new SystemRandom({ clock });
    const first = random.id();
    now -= 60_000;
    expect(random.id() > first).toBe(true);
  });
});

describe('backoffMs', () => {
  it('is anything up to base × 2^(attempt − 1), and never more than the cap', () => {
    const random = { next: () => 0.999_999, id: () => '' };
    expect(
      [1, 2, 3, 4, 5, 50].map((attempt) => backoffMs({ baseMs: 100, maxMs: 1_000 }, attempt, random.next())),
    ).toEqual([99, 199, 399, 799, 999, 999]);
    expect(backoffMs({ baseMs: 100, maxMs: 1_000 }, 9, 0)).toBe(0);
  });
});

describe('Heap', () => {
  it('gives items in order, whatever the order in which they came', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.integer(), fc.constant('pop' as const))), (steps) => {
        const heap = new Heap<number>((a, b) => a - b);
        const model: number[] = [];
        for (const step of steps) {
          if (step === 'pop') {
            expect(heap.pop()).toBe(model.shift());
          } else {
            heap.push(step);
            model.push(step);
            model.sort((a, b) => a - b);
          }
          expect(heap.peek()).toBe(model[0]);
          expect(heap.size).toBe(model.length);
        }
      }),
    );
  });
});

describe('Limiter', () => {
  it('lets in as many as it has places, and loses no place to those who give up or fail', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.record({ gives: fc.boolean(), fails: fc.boolean() }), { minLength: 1, maxLength: 12 }),
        async (scheduler, places, jobs) => {
          const limiter = new Limiter(places);
          let inside = 0;
          let most = 0;
          let ran = 0;
          const running = jobs.map(({ gives, fails }, which) => {
            const stop = new AbortController();
            if (gives) void scheduler.schedule(Promise.resolve(), `abort ${which}`).then(() => stop.abort());
            const work = async () => {
              most = Math.max(most, ++inside);
              ran++;
              await scheduler.schedule(Promise.resolve(), `work ${which}`);
              inside--;
              if (fails) throw new Error('planned');
            };
            return limiter.run(work, stop.signal).catch(() => undefined);
          });
          await scheduler.waitFor(Promise.all(running));
          expect(most).toBeLessThanOrEqual(places);
          expect(ran).toBeGreaterThanOrEqual(jobs.filter(({ gives }) => !gives).length);
          // All places are free again.
          let together = 0;
          const all = Promise.withResolvers<void>();
          await Promise.all(
            Array.from({ length: places }, () =>
              limiter.run(async () => {
                if (++together === places) all.resolve();
                await all.promise;
              }, never),
            ),
          );
        },
      ),
    );
  });
});

describe('A place of a Limiter', () => {
  it('goes to the next one where it comes just as its taker gives up', async () => {
    const limiter = new Limiter(1);
    const stop = new AbortController();
    const gate = Promise.withResolvers<void>();
    const first = limiter.run(async () => {
      await gate.promise;
      stop.abort(new Error('enough'));
    }, never);
    const second = expect(limiter.run(() => Promise.resolve(), stop.signal)).rejects.toThrow('enough');
    gate.resolve();
    await Promise.all([first, second]);
    expect(await limiter.run(() => Promise.resolve('in'), never)).toBe('in');
  });
});

describe('InMemoryMetrics', () => {
  it('adds up by counter', () => {
    const metrics = new InMemoryMetrics();
    metrics.add('rowsRead', 3);
    const before = metrics.snapshot();
    metrics.add('rowsRead', 4);
    expect(before).toEqual({ rowsRead: 3 });
    expect(metrics.snapshot()).toEqual({ rowsRead: 7 });
    expect(metrics.total('messages')).toBe(0);
  });
});
