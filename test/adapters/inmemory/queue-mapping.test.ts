import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/adapters/inmemory/clock.ts';
import {
  QueueMapping,
  type FailedTaskAttempt,
  type QueueMappingOptions,
} from '../../../src/adapters/inmemory/queue-mapping.ts';
import { SeededRandom } from '../../../src/adapters/inmemory/random.ts';
import { InMemoryTaskQueue } from '../../../src/adapters/inmemory/task-queue.ts';
import type { Task } from '../../../src/domain/section.ts';

const never = new AbortController().signal;

function task(id: string): Task {
  const object = { bucket: 'lake', key: id, version: 'v1', size: 1 };
  return {
    id,
    run: 'r',
    generation: 'p@1',
    build: 'b',
    epoch: 1,
    where: null,
    object,
    sections: { from: 0, to: 0 },
    start: null,
    done: [],
  };
}

function setUp(maxReceives = Infinity) {
  const clock = new ManualClock(0);
  const random = new SeededRandom({ clock }, 1);
  const queue = new InMemoryTaskQueue({ clock }, { maxReceives });
  const failed: FailedTaskAttempt[] = [];
  const map = (options: QueueMappingOptions) =>
    new QueueMapping(
      { queue, clock, random },
      { onAttemptFailed: (attempt) => void failed.push(attempt), ...options },
    );
  const drain = async (mapping: QueueMapping) => {
    const stop = new AbortController();
    const running = mapping.run(stop.signal);
    const idle = mapping.idle(never).finally(() => stop.abort());
    await clock.runUntil(Promise.all([running, idle]));
  };
  return { clock, queue, failed, map, drain };
}

describe('QueueMapping', () => {
  it('ends every task, done or dead, with no more in hand than it may have', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.nat({ max: 6 }), { maxLength: 20 }),
        async (concurrency, maxReceives, failuresOf) => {
          const { clock, queue, map, drain, failed } = setUp(maxReceives);
          const done: string[] = [];
          let inHand = 0;
          let most = 0;
          const mapping = map({
            concurrency,
            visibilityMs: 1_000,
            handler: async ({ id }, { receiveCount, signal }) => {
              most = Math.max(most, ++inHand);
              // Longer than the visibility: the heartbeat has to hold it.
              await clock.sleep(2_500, signal);
              inHand--;
              if (receiveCount <= (failuresOf[Number(id)] ?? 0)) throw new Error('planned');
              done.push(id);
            },
          });
          await queue.send(
            failuresOf.map((_, id) => task(String(id))),
            never,
          );
          await drain(mapping);
          expect(most).toBeLessThanOrEqual(concurrency);
          const ids = failuresOf.map((_, id) => String(id));
          const deadIds = ids.filter((id) => (failuresOf[Number(id)] ?? 0) >= maxReceives);
          expect(done.toSorted()).toEqual(ids.filter((id) => !deadIds.includes(id)).toSorted());
          expect(
            queue
              .deadLetters()
              .map((dead) => dead.task.id)
              .toSorted(),
          ).toEqual(deadIds.toSorted());
          expect(failed.filter(({ dead }) => dead).length).toBe(deadIds.length);
          expect(failed.length).toBe(
            failuresOf.reduce((sum, failures) => sum + Math.min(failures, maxReceives), 0),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it('takes a task without waiting when it is sent, also by a handler', async () => {
    const { clock, queue, map, drain } = setUp();
    const seen: string[] = [];
    const mapping = map({
      handler: async ({ id }) => {
        seen.push(id);
        if (id.length < 5) await queue.send([task(`${id}x`)], never);
      },
    });
    await queue.send([task('a')], never);
    await drain(mapping);
    expect(seen).toEqual(['a', 'ax', 'axx', 'axxx', 'axxxx']);
    expect(clock.now()).toBe(0);
  });

  it('gives a task back at once when it is stopped', async () => {
    const { clock, queue, map, failed } = setUp();
    await queue.send([task('a')], never);
    const stop = new AbortController();
    const running = map({ handler: (_task, { signal }) => clock.sleep(1e9, signal) }).run(stop.signal);
    await clock.advance(100_000);
    expect(queue.size).toEqual({ waiting: 0, hidden: 1 });
    stop.abort();
    await running;
    expect(queue.size).toEqual({ waiting: 1, hidden: 0 });
    expect(failed).toEqual([]);
  });

  it('ends with what onAttemptFailed throws', async () => {
    const { clock, queue, map } = setUp();
    await queue.send([task('a')], never);
    const mapping = map({
      handler: () => Promise.reject(new Error('planned')),
      onAttemptFailed: ({ error }) => {
        throw new Error('no patience', { cause: error });
      },
    });
    const idle = expect(mapping.idle(never)).rejects.toThrow('no patience');
    await clock.runUntil(expect(mapping.run(never)).rejects.toThrow('no patience'));
    await idle;
  });
});
