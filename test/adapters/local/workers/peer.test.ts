import { once } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../../src/adapters/inmemory/clock.ts';
import { InMemoryKilledRows } from '../../../../src/adapters/inmemory/killed-rows.ts';
import { InMemoryLog } from '../../../../src/adapters/inmemory/log.ts';
import { InMemoryMetrics } from '../../../../src/adapters/inmemory/metrics.ts';
import { SeededRandom } from '../../../../src/adapters/inmemory/random.ts';
import { InMemoryStream } from '../../../../src/adapters/inmemory/stream.ts';
import { InMemoryTaskQueue } from '../../../../src/adapters/inmemory/task-queue.ts';
import { crossed, uncrossed } from '../../../../src/adapters/local/workers/crossed-error.ts';
import { Peer, threadChannel, type Services } from '../../../../src/adapters/local/workers/peer.ts';
import {
  capabilitiesOf,
  portServices,
  remotePorts,
  type SharedPorts,
} from '../../../../src/adapters/local/workers/remote-ports.ts';
import { WorkerEnded } from '../../../../src/adapters/local/workers/worker-ended.ts';
import { DomainError, InfrastructureError, isSluiceError } from '../../../../src/domain/errors.ts';
import type { RecordSink } from '../../../../src/domain/ports/record-sink.ts';
import type { Task } from '../../../../src/domain/section.ts';

const never = new AbortController().signal;
const ports: { close(): void }[] = [];
afterEach(() => {
  for (const port of ports.splice(0)) port.close();
});

/** Two ends of one channel, in one thread. */
function pair(here: Services, there: Services = {}): { here: Peer; there: Peer } {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  return { here: new Peer(threadChannel(port1), here), there: new Peer(threadChannel(port2), there) };
}

function shared(sink?: (stream: InMemoryStream) => RecordSink) {
  const clock = new ManualClock(0);
  const random = new SeededRandom({ clock }, 1);
  const stream = new InMemoryStream({ clock, random }, { partitions: 4, shards: 1 });
  const main = {
    sink: sink?.(stream) ?? stream,
    tasks: new InMemoryTaskQueue({ clock }),
    killed: new InMemoryKilledRows(),
    log: new InMemoryLog(),
    metrics: new InMemoryMetrics(),
  } satisfies SharedPorts;
  const { there } = pair(portServices(main));
  return { main, stream, clock, remote: remotePorts(there, capabilitiesOf(main), clock) };
}

const task = {
  generation: 'g@1',
  build: 'b',
  object: { bucket: 'x', key: 'k', version: 'v', size: 1 },
} as Task;

describe('A peer', () => {
  it('answers calls with what its service gives, or throws it as it was thrown', async () => {
    const { there } = pair({
      double: (value: number) => value * 2,
      fail: () => {
        throw new DomainError('no', { code: 'E_MINE', cause: new TypeError('because') });
      },
    });
    expect(await there.call('double', 21)).toBe(42);
    const thrown: unknown = await there.call('fail', null).catch((error: unknown) => error);
    expect(isSluiceError(thrown) && thrown).toMatchObject({ kind: 'domain', code: 'E_MINE', message: 'no' });
    expect((thrown as Error).cause).toMatchObject({ message: 'because', name: 'TypeError' });
    await expect(there.call('unknown', null)).rejects.toMatchObject({ code: 'E_INTERNAL' });
  });

  it('that is gone rejects what waits for it, and aborts what it had asked for', async () => {
    const begun = Promise.withResolvers<AbortSignal>();
    const { here, there } = pair({
      wait: (_: unknown, signal: AbortSignal) => {
        begun.resolve(signal);
        return once(signal, 'abort');
      },
    });
    const waiting = there.call('wait', null);
    const signal = await begun.promise;
    const gone = new WorkerEnded('it is gone', { how: 'died', row: null });
    here.end(gone);
    there.end(gone);
    await expect(waiting).rejects.toBe(gone);
    expect(signal.aborted).toBe(true);
    await expect(there.call('wait', null)).rejects.toBe(gone);
  });
});

describe('An error that crosses', () => {
  it.each([
    new DomainError('bad row', {
      code: 'E_SCHEMA',
      position: { kind: 'row', object: task.object, coordinate: 7, output: null },
    }),
    new InfrastructureError('slow down', { code: 'E_THROTTLED' }),
    new InfrastructureError('for good', {
      retryable: false,
      cause: Object.assign(new Error('x'), { code: 'EIO' }),
    }),
  ])('keeps code, place and whether to try again: $message', (error) => {
    const arrived = uncrossed(structuredClone(crossed(error)));
    expect(arrived).toBeInstanceOf(error.constructor);
    const { code, retryable, position, message, stack } = error;
    expect(arrived).toMatchObject({ code, retryable, position, message, stack });
    if (error.cause !== undefined) expect(arrived.cause).toMatchObject({ message: 'x', code: 'EIO' });
  });

  it('keeps the row of a worker that ended', () => {
    const ended = new WorkerEnded('it hung', { how: 'hung', row: { section: 2, coordinate: 99 } });
    const arrived = uncrossed(structuredClone(crossed(ended)));
    expect(arrived).toBeInstanceOf(WorkerEnded);
    expect(arrived).toMatchObject({ how: 'hung', row: { section: 2, coordinate: 99 }, message: 'it hung' });
  });

  it('may be anything, and its causes may go round in a circle', () => {
    const circle = new Error('circle');
    circle.cause = circle;
    for (const thrown of [undefined, null, 'text', { odd: true }, circle])
      expect(uncrossed(structuredClone(crossed(thrown)))).toBeInstanceOf(Error);
  });
});

describe('The ports of a worker', () => {
  it('move frames to the main thread, and give back those that can be put again', async () => {
    const rejecting = (stream: InMemoryStream): RecordSink => ({
      capabilities: stream.capabilities,
      put: async ([first, ...rest], signal) => [
        { accepted: false, reason: 'throttled', retryable: true, message: 'later' },
        ...(await stream.put(rest, signal)),
        ...(first === undefined ? [] : []),
      ],
    });
    const { remote, stream } = shared(rejecting);
    const [one, other] = [new Uint8Array(1_000).fill(1), new Uint8Array(1_000).fill(2)];
    const outcomes = await remote.sink.put(
      [
        { partition: 0, data: one },
        { partition: 1, data: other },
      ],
      never,
    );
    expect([one.byteLength, other.byteLength]).toEqual([0, 0]);
    expect(outcomes).toMatchObject([{ accepted: false, reason: 'throttled' }, { accepted: true }]);
    expect(outcomes[0]).toMatchObject({ data: new Uint8Array(1_000).fill(1) });
    expect(stream.read(0, null, 10, 1e9).map(({ data }) => data)).toEqual([new Uint8Array(1_000).fill(2)]);
  });

  it('copy what lies in a buffer with others', async () => {
    const { remote, stream } = shared();
    const pool = Buffer.from('one two three');
    await remote.sink.put([{ partition: 0, data: pool.subarray(4, 7) }], never);
    expect(pool.toString()).toBe('one two three');
    expect(Buffer.from(stream.read(0, null, 1, 100)[0]?.data ?? []).toString()).toBe('two');
  });

  it('give back all of a batch of which nothing is known', async () => {
    const broken = (stream: InMemoryStream): RecordSink => ({
      capabilities: stream.capabilities,
      put: () => Promise.reject(new Error('torn')),
    });
    const { remote } = shared(broken);
    const outcomes = await remote.sink.put([{ partition: 0, data: new Uint8Array([1, 2]) }], never);
    expect(outcomes).toEqual([
      { accepted: false, reason: 'failed', retryable: true, message: 'torn', data: new Uint8Array([1, 2]) },
    ]);
  });

  it('count in batches, but before anything that follows', async () => {
    const { remote, main } = shared();
    remote.metrics.add('rowsRead', 2);
    remote.metrics.add('rowsRead', 3);
    expect(main.metrics.total('rowsRead')).toBe(0);
    await remote.tasks.send([task], never);
    expect(main.metrics.total('rowsRead')).toBe(5);
    expect(main.tasks.size.waiting).toBe(1);
  });

  it('ask for verdicts, and log without payloads', async () => {
    const { remote, main } = shared();
    const row = { section: 0, coordinate: 5, how: 'died', message: 'it died' } as const;
    await main.killed.add(task, row, never);
    remote.log.warn({ task: 't', payload: 'secret', fine: () => 1 }, 'said');
    expect(await remote.killed.of(task, never)).toEqual([row]);
    expect(main.log.lines).toEqual([
      { level: 'warn', fields: { task: 't', fine: '[function]' }, message: 'said' },
    ]);
  });
});
