import type { Clock, Log, Metrics, Random } from '../domain/ports/ambient.ts';
import type { DedupStore } from '../domain/ports/dedup-store.ts';
import type { ErrorRouter } from '../domain/ports/error-router.ts';
import type { KilledRows } from '../domain/ports/killed-rows.ts';
import type { ObjectSource } from '../domain/ports/object-source.ts';
import type { RecordSink } from '../domain/ports/record-sink.ts';
import type { MergeStates, ResultStore } from '../domain/ports/result-store.ts';
import type { TaskQueue } from '../domain/ports/task-queue.ts';

/**
 * A symbol that knows what is bound to it. It is no constructor: the type only lets a container infer `T`.
 */
export type Token<T> = symbol & (abstract new (...parts: never[]) => T);

export function token<T>(name: string): Token<T> {
  return Symbol.for(`sluice.${name}`) as unknown as Token<T>;
}

/** One for every port, and for what the result stores are given by the application. */
export const tokens = {
  clock: token<Clock>('clock'),
  random: token<Random>('random'),
  log: token<Log>('log'),
  metrics: token<Metrics>('metrics'),
  objectSource: token<ObjectSource>('objectSource'),
  recordSink: token<RecordSink>('recordSink'),
  taskQueue: token<TaskQueue>('taskQueue'),
  dedupStore: token<DedupStore>('dedupStore'),
  errorRouter: token<ErrorRouter>('errorRouter'),
  resultStore: token<ResultStore>('resultStore'),
  killedRows: token<KilledRows>('killedRows'),
  mergeStates: token<MergeStates>('mergeStates'),
} as const;
