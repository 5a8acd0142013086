import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { SqsSender } from '../../../src/adapters/aws/sqs-batch.ts';
import { createSqsCalls, type SqsCalls } from '../../../src/adapters/aws/sqs-client.ts';
import { SqsTaskQueue } from '../../../src/adapters/aws/task-queue.ts';
import { SystemClock } from '../../../src/adapters/inmemory/clock.ts';
import { InMemoryLog } from '../../../src/adapters/inmemory/log.ts';
import { InMemoryMetrics } from '../../../src/adapters/inmemory/metrics.ts';
import { SystemRandom } from '../../../src/adapters/inmemory/random.ts';
import type { Task } from '../../../src/domain/section.ts';
import { taskQueueContract } from '../../../src/testing/index.ts';
import { clientConfig } from './client-config.ts';
import { MemoryClaims } from './memory-claims.ts';
import { SqsTwin } from './sqs-twin.ts';

const never = new AbortController().signal;
const clock = new SystemClock();

let twin: SqsTwin;
let calls: SqsCalls;
beforeAll(async () => {
  twin = await SqsTwin.start();
  calls = createSqsCalls(clientConfig(twin.url));
});
afterEach(() => void vi.useRealTimers());
afterAll(async () => {
  calls.close();
  await twin.stop();
});

function setUp() {
  const { name, queueUrl } = twin.createQueue();
  const claims = new MemoryClaims();
  const log = new InMemoryLog();
  const random = new SystemRandom({ clock });
  const sender = new SqsSender(
    { calls, claims, clock, random, metrics: new InMemoryMetrics() },
    { queueUrl },
  );
  const queueOfItsOwn = () => new SqsTaskQueue({ calls, sender, claims, clock, log }, { queueUrl });
  return { name, queue: queueOfItsOwn(), other: queueOfItsOwn(), sender, claims, log };
}

taskQueueContract('SqsTaskQueue', async () => {
  // The twin and the queue go by the same clock; only the date stands still, so that the connection does not.
  vi.useFakeTimers({ toFake: ['Date'] });
  return {
    queue: setUp().queue,
    advance: async (ms) => void vi.setSystemTime(Date.now() + ms),
    dispose: async () => void vi.useRealTimers(),
  };
});

const task: Task = {
  id: 't1',
  run: 'r1',
  generation: 'flights@1',
  build: 'b1',
  epoch: 1,
  where: { year: { $gte: 2019 }, name: 'a\ufffeb\u{1f600}\u0000\ud800' },
  object: { bucket: 'lake', key: 'a\uffff😀.csv', version: 'v1', size: 10 },
  sections: { from: 0, to: null },
  start: null,
  done: [],
};

describe('SqsTaskQueue', () => {
  it('brings every character through the queue', async () => {
    const { queue } = setUp();
    await queue.send([task], never);
    expect((await queue.receive(1, 1_000, never)).map((received) => received.task)).toEqual([task]);
  });

  it('claims a task that is over the limit, and redeems it by itself', async () => {
    const { name, queue, claims } = setUp();
    const large = { ...task, done: Array.from({ length: 200_000 }, (_, section) => section) };
    await queue.send([large, task], never);
    expect(twin.waiting(name).map(({ body }) => body.length < 1_000)).toEqual([true, true]);
    expect(claims.kept.size).toBe(1);
    const received = await queue.receive(10, 1_000, never);
    expect(received.map((one) => one.task)).toEqual([large, task]);
  });

  it('leaves what is no task in the queue, says so, and gives the others', async () => {
    const { queue, sender, log } = setUp();
    await sender.send([{ body: '{"id":"x"}' }], never);
    await queue.send([task], never);
    expect(await queue.receive(10, 0, never)).toHaveLength(1);
    expect(log.lines).toMatchObject([{ level: 'error', fields: { code: 'E_TASK_INVALID' } }]);
    expect(JSON.stringify(log.lines)).not.toContain('"x"');
    // It comes back, and the queue's redrive policy counts it.
    await queue.receive(10, 0, never);
    expect(log.lines.at(-1)?.fields).toMatchObject({ code: 'E_TASK_INVALID', receiveCount: 2 });
  });

  it('goes by what SQS says of receipts that an event brought', async () => {
    const { name, queue, other } = setUp();
    await queue.send([task], never);
    const [received] = await queue.receive(1, 60_000, never);
    const receipt = received?.receipt ?? '';
    expect(await other.extend(receipt, 120_000, never)).toBe(true);
    expect(await other.delete(receipt, never)).toBe(true);
    expect(await other.delete(receipt, never)).toBe(false);
    expect(twin.waiting(name)).toEqual([]);
  });

  it('hides a task for 12 hours at most', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const { queue } = setUp();
    await queue.send([task], never);
    const [received] = await queue.receive(1, 1e12, never);
    vi.setSystemTime(Date.now() + queue.capabilities.maxVisibilityMs!);
    expect(await queue.delete(received?.receipt ?? '', never)).toBe(false);
    expect(await queue.receive(1, 1_000, never)).toMatchObject([{ receiveCount: 2 }]);
  });
});
