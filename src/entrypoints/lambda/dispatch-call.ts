import type { DispatchPorts } from '../../application/dispatch/object-dispatcher.ts';
import type { ObjectName } from '../../domain/lake-object.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Surroundings } from './handler.ts';
import type { Invocation } from './invocation.ts';
import type { StepTimes } from './step-times.ts';

/** The dispatch queue, by which a listing goes on. */
export interface OrderQueue {
  send(order: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<void>;
  /** What a message of the queue says, as JSON data. @throws where it is none */
  read(body: string, signal: AbortSignal): Promise<unknown>;
}

/** What the container has; clock, log and counters are an invocation's. */
export interface DispatchFunctionPorts extends Omit<DispatchPorts, 'clock' | 'log' | 'metrics'> {
  readonly orders: OrderQueue;
  /** Whether a listing of the lake would show an object that arrived; what writers leave beside the data is none of it. */
  readonly isOfLake: (name: ObjectName) => boolean;
}

/** One call of `dispatch`, and what it works with. */
export interface DispatchCall {
  readonly pipeline: AnyPipeline;
  readonly build: string;
  readonly clock: Surroundings['clock'];
  /** How long it took lately to plan a batch of objects. */
  readonly batches: StepTimes;
  readonly invocation: Invocation;
  readonly ports: DispatchFunctionPorts;
}

export function isLate({ batches, clock, invocation }: DispatchCall): boolean {
  return clock.now() >= batches.lastStart(clock.now(), invocation.endsAt);
}
