import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate } from 'node:timers/promises';
import {
  context,
  ROOT_CONTEXT,
  trace,
  SpanStatusCode,
  type Context,
  type Span,
  type SpanOptions,
  type Tracer,
} from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import { traced } from '../../../src/adapters/aws/tracing.ts';
import { InfrastructureError } from '../../../src/domain/errors.ts';

interface Recorded {
  readonly name: string;
  /** The span that it was opened in. */
  readonly parent: Recorded | undefined;
  readonly attributes: Record<string, unknown>;
  readonly exceptions: unknown[];
  status: unknown;
  ends: number;
}

/** A provider that writes down what it is told. */
function record(): Recorded[] {
  const spans: Recorded[] = [];
  const known = new Map<Span, Recorded>();
  const start = (name: string, options: SpanOptions = {}): Span => {
    const span: Recorded = {
      name,
      parent: known.get(trace.getActiveSpan() as Span),
      attributes: { ...options.attributes },
      exceptions: [],
      status: undefined,
      ends: 0,
    };
    spans.push(span);
    const told = {
      setAttribute: (key: string, value: unknown) => void (span.attributes[key] = value),
      setStatus: (status: unknown) => void (span.status = status),
      recordException: (exception: unknown) => void span.exceptions.push(exception),
      end: () => void span.ends++,
    } as unknown as Span;
    known.set(told, span);
    return told;
  };
  const tracer = {
    startSpan: start,
    startActiveSpan: (name: string, options: SpanOptions, work: (span: Span) => unknown) => {
      const span = start(name, options);
      return context.with(trace.setSpan(context.active(), span), work, undefined, span);
    },
  } as unknown as Tracer;
  trace.setGlobalTracerProvider({ getTracer: () => tracer });
  return spans;
}

afterEach(() => {
  trace.disable();
  context.disable();
});

describe('traced', () => {
  it('does the work as if it were not there, without a provider', async () => {
    expect(await traced('sluice.transform', { run: 'r' }, async () => 7)).toBe(7);
    const error = new Error('no');
    await expect(traced('sluice.transform', {}, () => Promise.reject(error))).rejects.toBe(error);
  });

  it('opens a span, and ends it when the work is done', async () => {
    const spans = record();
    let go = () => {};
    const work = traced(
      'sluice.put',
      { frames: 3, task: undefined },
      () => new Promise<void>((resolve) => (go = resolve)),
    );
    expect(spans).toMatchObject([{ name: 'sluice.put', attributes: { frames: 3 }, ends: 0 }]);
    go();
    await work;
    expect(spans).toMatchObject([{ exceptions: [], status: undefined, ends: 1 }]);
  });

  it('records what the work throws, without secrets, and throws it on', async () => {
    const spans = record();
    const error = new InfrastructureError('redis://u:hunter2@h is away', { code: 'E_DEDUP_UNAVAILABLE' });
    await expect(traced('a', {}, () => Promise.reject(error))).rejects.toBe(error);
    await expect(
      traced('b', {}, () => {
        throw new Error('at once');
      }),
    ).rejects.toThrow('at once');
    // What is thrown need not be an error.
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors
    await expect(traced('c', {}, () => Promise.reject('text'))).rejects.toBe('text');
    expect(spans).toMatchObject([
      {
        attributes: { 'sluice.code': 'E_DEDUP_UNAVAILABLE' },
        exceptions: [{ name: 'InfrastructureError' }],
        status: { code: SpanStatusCode.ERROR },
        ends: 1,
      },
      { exceptions: [{ message: 'at once' }], status: { message: 'at once' }, ends: 1 },
      { exceptions: [{ name: 'string', message: 'text' }], ends: 1 },
    ]);
    expect(JSON.stringify(spans)).not.toContain('hunter2');
  });

  it('makes its span the parent of those that the work opens, whatever else goes on', async () => {
    const spans = record();
    const storage = new AsyncLocalStorage<Context>();
    context.setGlobalContextManager({
      active: () => storage.getStore() ?? ROOT_CONTEXT,
      with: (next, call, self, ...parameters) =>
        storage.run(next, () => call.apply(self as never, parameters)),
      bind: (_context, target) => target,
      enable() {
        return this;
      },
      disable() {
        return this;
      },
    });
    const task = (id: string) =>
      traced(`task ${id}`, {}, async () => {
        await setImmediate();
        await traced(`put ${id}`, {}, setImmediate);
      });
    await Promise.all([task('1'), task('2')]);
    expect(spans.map(({ name, parent }) => [name, parent?.name])).toEqual([
      ['task 1', undefined],
      ['task 2', undefined],
      ['put 1', 'task 1'],
      ['put 2', 'task 2'],
    ]);
  });
});
