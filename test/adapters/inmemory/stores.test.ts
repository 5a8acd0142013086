import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/adapters/inmemory/clock.ts';
import { InMemoryDedupStore } from '../../../src/adapters/inmemory/dedup-store.ts';
import { InMemoryErrorRouter } from '../../../src/adapters/inmemory/error-router.ts';
import { InMemoryObjectSource } from '../../../src/adapters/inmemory/object-source.ts';
import { InMemoryTaskQueue } from '../../../src/adapters/inmemory/task-queue.ts';
import type { RoutedFailure } from '../../../src/domain/ports/error-router.ts';
import type { Task } from '../../../src/domain/section.ts';

const never = new AbortController().signal;
const task = (id: string) => ({ id }) as Task;

describe('InMemoryTaskQueue', () => {
  it('makes a dead letter of a task that comes back too often, and is empty then', async () => {
    const clock = new ManualClock(0);
    const queue = new InMemoryTaskQueue({ clock }, { maxReceives: 2 });
    await queue.send([task('a')], never);
    let empty = false;
    const waiting = queue.whenEmpty(never).then(() => (empty = true));
    for (const receiveCount of [1, 2]) {
      expect(await queue.receive(1, 100, never)).toMatchObject([{ receiveCount }]);
      expect(queue.deadLetters()).toEqual([]);
      await clock.advance(100);
    }
    expect(empty).toBe(false);
    expect(await queue.receive(1, 100, never)).toEqual([]);
    expect(queue.deadLetters()).toEqual([{ task: task('a'), receiveCount: 2, at: 200 }]);
    await waiting;
  });

  it('wakes who waits when a task is sent, is given back, or lapses', async () => {
    const clock = new ManualClock(0);
    const queue = new InMemoryTaskQueue({ clock });
    const times: number[] = [];
    const wait = () => queue.whenReceivable(never).then(() => void times.push(clock.now()));

    const sent = wait();
    await clock.advance(10);
    await queue.send([task('a')], never);
    await sent;

    const [lapsing] = await queue.receive(1, 30, never);
    const lapsed = wait();
    await clock.advance(5);
    // The later end counts, and the wait for the earlier one is given up.
    await queue.extend(lapsing?.receipt as string, 40, never);
    await clock.advance(100);
    await lapsed;

    const [given] = await queue.receive(1, 1_000, never);
    const givenBack = wait();
    await clock.advance(7);
    await queue.extend(given?.receipt as string, 0, never);
    await givenBack;
    expect(times).toEqual([10, 55, 122]);
    expect(clock.nextDue()).toBe(null);
  });

  it('tells who sends very many when fewer are left', async () => {
    const queue = new InMemoryTaskQueue({ clock: new ManualClock() });
    await queue.send([task('a'), task('b')], never);
    let fewer = false;
    const waiting = queue.whenFewerThan(2, never).then(() => (fewer = true));
    const [received] = await queue.receive(1, 1_000, never);
    expect(fewer).toBe(false);
    await queue.delete(received?.receipt as string, never);
    await waiting;
  });
});

describe('InMemoryDedupStore', () => {
  it('gives no token that a store gave before it, which lost everything', async () => {
    const clock = new ManualClock();
    const claimed = async (store: InMemoryDedupStore) => {
      const [outcome] = await store.claim(['a'], 1_000, never);
      return { key: 'a', token: outcome?.state === 'claimed' ? outcome.token : 0 };
    };
    const before = await claimed(new InMemoryDedupStore({ clock }));
    await clock.advance(1);
    const store = new InMemoryDedupStore({ clock });
    const claim = await claimed(store);
    expect(await store.release([before], never)).toEqual([false]);
    expect(await store.commit([before], never)).toEqual([false]);
    expect(await store.release([claim], never)).toEqual([true]);
  });

  it('forgets done keys by time and by count, and claims that nobody settled', async () => {
    const clock = new ManualClock(0);
    const store = new InMemoryDedupStore({ clock }, { retentionMs: 1_000, maxDoneKeys: 3, abandonedMs: 500 });
    const finish = async (key: string) => {
      const [outcome] = await store.claim([key], 100, never);
      if (outcome?.state === 'claimed') await store.commit([{ key, token: outcome.token }], never);
      return outcome?.state;
    };
    for (const key of ['a', 'b', 'c', 'd']) expect(await finish(key)).toBe('claimed');
    expect(store.size).toBe(3);
    expect(await finish('d')).toBe('done');
    expect(await finish('a')).toBe('claimed');
    await store.claim(['left'], 100, never);
    await clock.advance(600);
    await store.claim([], 100, never);
    expect(store.size).toBe(3);
    await clock.advance(400);
    expect(await finish('d')).toBe('claimed');
    expect(store.size).toBe(1);
  });
});

describe('InMemoryErrorRouter', () => {
  it('keeps the latest up to its bound, and counts what it dropped', async () => {
    const router = new InMemoryErrorRouter({ maxFailures: 2 });
    const routed = ['a', 'b', 'c'].map((run) => ({ run }) as RoutedFailure);
    await router.route(routed, never);
    expect(router.failures.map(({ run }) => run)).toEqual(['b', 'c']);
    expect(router.dropped).toBe(1);
  });
});

describe('InMemoryObjectSource', () => {
  it('takes a location as a bucket, a prefix, a folder or one object', async () => {
    const lake = new InMemoryObjectSource();
    for (const key of ['a/1.csv', 'a/2.csv', 'a2/3.csv', 'b.csv']) lake.put({ bucket: 'lake', key }, key);
    lake.put({ bucket: 'other', key: 'a/1.csv' }, 'x');
    const keys = async (location: string) => {
      const found: string[] = [];
      for await (const { key } of lake.list(location, never)) found.push(key);
      return found;
    };
    expect(await keys('lake')).toEqual(['a/1.csv', 'a/2.csv', 'a2/3.csv', 'b.csv']);
    expect(await keys('lake/a/')).toEqual(['a/1.csv', 'a/2.csv']);
    expect(await keys('lake/a')).toEqual(['a/1.csv', 'a/2.csv']);
    expect(await keys('lake/a*')).toEqual(['a/1.csv', 'a/2.csv', 'a2/3.csv']);
    expect(await keys('lake/b.csv')).toEqual(['b.csv']);
    expect(await keys('lake/c/')).toEqual([]);
    await expect(keys('lake/c')).rejects.toMatchObject({ code: 'E_OBJECT_NOT_FOUND' });
  });
});
