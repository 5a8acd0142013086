import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/adapters/inmemory/clock.ts';
import { InMemoryLog } from '../../src/adapters/inmemory/log.ts';
import { InMemoryMetrics } from '../../src/adapters/inmemory/metrics.ts';
import { InfrastructureError } from '../../src/domain/errors.ts';
import type { LambdaContext, LambdaHandler } from '../../src/entrypoints/lambda/events.ts';
import { createFunction, type FunctionOptions } from '../../src/entrypoints/lambda/handler.ts';
import type { Invocation } from '../../src/entrypoints/lambda/invocation.ts';
import { currentOwner, ownedBy, watchRejections } from '../../src/entrypoints/lambda/owners.ts';

const clock = () => new ManualClock(1_000_000);

/** Moves time on from timer to timer until the promise has settled. The frame itself takes turns of the event loop that no clock knows. */
async function runUntil<T>(time: ManualClock, promise: Promise<T>): Promise<T> {
  let pending = true;
  const done = () => void (pending = false);
  promise.then(done, done);
  for (let idle = 0; pending && idle < 100; idle++) {
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => void setImmediate(resolve));
    const due = time.nextDue();
    if (pending && due !== null) await time.advanceTo(due);
  }
  if (pending) throw new Error('it has not settled');
  return promise;
}

interface Ports {
  readonly store: { applyFrame(ms: number): Promise<string>; read(ms: number): Promise<string> };
}

interface Made {
  readonly handler: LambdaHandler;
  readonly clock: ManualClock;
  readonly log: InMemoryLog;
  readonly flushed: { readonly requestId: string; readonly metrics: InMemoryMetrics }[];
}

/** A function whose ports take as long as they are told to. */
function made(handle: FunctionOptions<Ports>['handle'], start?: (ports: Ports) => Promise<Ports>): Made {
  const time = clock();
  const log = new InMemoryLog();
  const flushed: Made['flushed'] = [];
  const never = new AbortController().signal;
  const after = async (ms: number) => {
    await time.sleep(ms, never);
    return 'done';
  };
  const ports: Ports = { store: { applyFrame: after, read: after } };
  const handler = createFunction({
    name: 'analyze',
    surroundings: {
      clock: time,
      log,
      startMetrics: (requestId) => {
        const metrics = new InMemoryMetrics();
        return { metrics, flush: () => void flushed.push({ requestId, metrics }) };
      },
      traced: (_span, _attributes, work) => work(),
    },
    start: async () => (start === undefined ? ports : start(ports)),
    handle,
  });
  return { handler, clock: time, log, flushed };
}

function contextOf(time: ManualClock, awsRequestId = 'request-1', remainingMs = 10_000): LambdaContext {
  const endsAt = time.now() + remainingMs;
  return { awsRequestId, getRemainingTimeInMillis: () => endsAt - time.now() };
}

describe('a start', () => {
  it('is made once, by whoever comes first, also where several come at once', async () => {
    let starts = 0;
    const { handler, clock: time } = made(
      async () => 'reply',
      async (ports) => {
        starts++;
        await time.sleep(100, new AbortController().signal);
        return ports;
      },
    );
    const both = Promise.all([handler({}, contextOf(time)), handler({}, contextOf(time))]);
    expect(await runUntil(time, both)).toEqual(['reply', 'reply']);
    expect(await handler({}, contextOf(time))).toBe('reply');
    expect(starts).toBe(1);
  });

  it('that fails is not remembered: the next invocation starts anew', async () => {
    let starts = 0;
    const {
      handler,
      clock: time,
      log,
    } = made(
      async () => 'reply',
      async (ports) => {
        if (++starts === 1)
          throw new InfrastructureError('the database is away', { code: 'E_INFRASTRUCTURE' });
        return ports;
      },
    );
    await expect(handler({}, contextOf(time))).rejects.toThrow('the database is away');
    expect(log.lines.at(-1)).toMatchObject({
      level: 'error',
      fields: { requestId: 'request-1', code: 'E_INFRASTRUCTURE' },
    });
    expect(await handler({}, contextOf(time))).toBe('reply');
    expect(await handler({}, contextOf(time))).toBe('reply');
    expect(starts).toBe(2);
  });

  it('that hangs is left to others when the time is over', async () => {
    const { handler, clock: time } = made(
      async () => 'reply',
      () => new Promise(() => undefined),
    );
    await expect(runUntil(time, handler({}, contextOf(time)))).rejects.toMatchObject({ code: 'E_ABORTED' });
  });
});

describe('a handler that returns while something is in flight', () => {
  it('fails with E_FLOATING_WORK where it is a write, and the write is awaited', async () => {
    let applied = '';
    const { handler, clock: time } = made(async (_event, _invocation, { store }) => {
      void store.applyFrame(500).then((outcome) => (applied = outcome));
      return { batchItemFailures: [] };
    });
    await expect(runUntil(time, handler({}, contextOf(time)))).rejects.toMatchObject({
      code: 'E_FLOATING_WORK',
      message: expect.stringContaining('store.applyFrame') as unknown,
    });
    expect(applied).toBe('done');
  });

  it('does not fail where it is a read, which changes nothing', async () => {
    const { handler, clock: time } = made(async (_event, _invocation, { store }) => {
      void store.read(500);
      return 'reply';
    });
    expect(await runUntil(time, handler({}, contextOf(time)))).toBe('reply');
  });

  it('does not fail where it was awaited', async () => {
    const { handler, clock: time } = made(async (_event, _invocation, { store }) => {
      await Promise.all([store.applyFrame(5), store.applyFrame(7)]);
      return 'reply';
    });
    expect(await runUntil(time, handler({}, contextOf(time)))).toBe('reply');
  });

  it('counts what is its own: the writes of another invocation in the same process are that one’s', async () => {
    const { handler, clock: time } = made(async (event, _invocation, { store }) => {
      await store.applyFrame(event as number);
      return event;
    });
    const long = handler(5_000, contextOf(time, 'long'));
    const short = handler(10, contextOf(time, 'short'));
    expect(await runUntil(time, short)).toBe(10);
    expect(await runUntil(time, long)).toBe(5_000);
  });
});

describe('the deadline', () => {
  it('aborts the signal in time, and says what was under way', async () => {
    const {
      handler,
      clock: time,
      log,
    } = made(async (_event, { signal }, { store }) => {
      void store.read(60_000);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return { left: time.now() };
    });
    const startedAt = time.now();
    const reply = handler({}, contextOf(time, 'request-1', 10_000));
    await time.advance(9_000);
    expect(log.lines).toContainEqual({
      level: 'warn',
      fields: { requestId: 'request-1', underWay: [{ call: 'store.read', ms: 9_000 }] },
      message: expect.stringContaining('nearly over') as unknown,
    });
    expect(await runUntil(time, reply)).toEqual({ left: startedAt + 9_000 });
  });

  it('leaves no timer behind', async () => {
    const { handler, clock: time } = made(async () => 'reply');
    await handler({}, contextOf(time));
    expect(time.nextDue()).toBeNull();
  });
});

describe('a rejection that nobody awaits', () => {
  /** Node's event, without the runner's own listener. */
  const rejecting = async (work: () => Promise<void>) => {
    const emitter = new EventEmitter();
    const log = new InMemoryLog();
    watchRejections(log, emitter, true);
    const forward = (reason: unknown, promise: Promise<unknown>) =>
      emitter.emit('unhandledRejection', reason, promise);
    const listeners = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection').on('unhandledRejection', forward);
    try {
      await work();
    } finally {
      process.removeAllListeners('unhandledRejection');
      for (const listener of listeners) process.on('unhandledRejection', listener);
    }
    return log;
  };

  it('fails its invocation, is logged with its origin, and touches no other', async () => {
    const {
      handler,
      clock: time,
      log,
    } = made(async (event, _invocation, { store }) => {
      await store.read(5);
      if (event === 'careless') void forgotten();
      await store.read(5);
      return event;
    });
    await rejecting(async () => {
      const careless = handler('careless', contextOf(time, 'careless'));
      const careful = handler('careful', contextOf(time, 'careful'));
      const settled = await runUntil(time, Promise.allSettled([careless, careful]));
      expect(settled).toMatchObject([
        {
          status: 'rejected',
          reason: { code: 'E_NOT_AWAITED', message: 'a promise that nobody awaits was rejected with Error' },
        },
        { status: 'fulfilled', value: 'careful' },
      ]);
    });
    const line = log.lines.find(({ fields }) => fields['origin'] !== undefined);
    expect(line).toMatchObject({ level: 'error', fields: { requestId: 'careless', code: 'E_NOT_AWAITED' } });
    expect(line?.fields['origin']).toContain('forgotten');
    // Its text is the pipeline's own, and may hold a row.
    expect(JSON.stringify(log.lines)).not.toContain('nobody looks');

    async function forgotten(): Promise<void> {
      throw new Error('nobody looks');
    }
  });

  it('fails it also at the very end, when the reply is ready', async () => {
    const { handler, clock: time } = made(async () => {
      void Promise.reject(new Error('too late to see'));
      return 'reply';
    });
    await rejecting(async () => {
      await expect(handler({}, contextOf(time))).rejects.toMatchObject({ code: 'E_NOT_AWAITED' });
    });
  });

  it('of nobody’s work is logged', async () => {
    const log = await rejecting(async () => {
      void Promise.reject(new Error('outside'));
      await new Promise((resolve) => void setImmediate(resolve));
    });
    expect(log.lines).toMatchObject([{ level: 'error', fields: { code: 'E_NOT_AWAITED' } }]);
  });

  it('has no other listener in a process of Lambda’s, which would end it', () => {
    const emitter = new EventEmitter();
    emitter.on('unhandledRejection', () => undefined);
    watchRejections(new InMemoryLog(), emitter, true);
    expect(emitter.listenerCount('unhandledRejection')).toBe(1);
    const elsewhere = new EventEmitter();
    elsewhere.on('unhandledRejection', () => undefined);
    watchRejections(new InMemoryLog(), elsewhere, false);
    expect(elsewhere.listenerCount('unhandledRejection')).toBe(2);
  });
});

describe('two invocations at once', () => {
  it('have their own log, counters and failures', async () => {
    const {
      handler,
      clock: time,
      log,
      flushed,
    } = made(async (event, { log: own, metrics }, { store }) => {
      const { name, ms, fails } = event as { name: string; ms: number; fails: boolean };
      for (let step = 0; step < 3; step++) {
        metrics.add('messages', ms);
        await store.read(ms);
        own.info({ step }, name);
        // What adapters say goes by the work that they do it for.
        currentOwner()?.log.info({ step }, `adapter of ${name}`);
      }
      if (fails) throw new Error(`${name} failed`);
      return name;
    });
    const settled = await runUntil(
      time,
      Promise.allSettled([
        handler({ name: 'a', ms: 10, fails: false }, contextOf(time, 'a')),
        handler({ name: 'b', ms: 7, fails: true }, contextOf(time, 'b')),
      ]),
    );
    expect(settled).toMatchObject([{ value: 'a' }, { reason: { message: 'b failed' } }]);
    for (const { fields, message } of log.lines.filter(({ level }) => level === 'info'))
      expect(message.endsWith(fields['requestId'] as string)).toBe(true);
    expect(
      Object.fromEntries(flushed.map(({ requestId, metrics }) => [requestId, metrics.total('messages')])),
    ).toEqual({
      a: 30,
      b: 21,
    });
  });
});

it('work outside of all invocations has no owner', async () => {
  expect(currentOwner()).toBeUndefined();
  const owner = {
    log: new InMemoryLog(),
    metrics: new InMemoryMetrics(),
    fail: () => undefined,
  } satisfies Pick<Invocation, 'log' | 'metrics' | 'fail'>;
  await ownedBy(owner, async () => expect(currentOwner()).toBe(owner));
});
