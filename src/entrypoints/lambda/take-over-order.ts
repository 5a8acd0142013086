import { takeOver, type TakeOverSummary } from '../../application/dispatch/take-over.ts';
import type { ObjectName } from '../../domain/lake-object.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { RunRecord } from '../../domain/ports/result-store.ts';
import { isLate, type DispatchCall } from './dispatch-call.ts';
import { isObject } from './events.ts';
import { Fields, wrong } from './fields.ts';
import { locationOf } from './order.ts';
import { ownGenerations, type OwnGeneration } from './own-generations.ts';
import { beginRun } from './runs.ts';

/** Sections that another build planned and has not begun are to go over to this one: a deployment's order, or what is left of it. */
export interface TakeOverOrder {
  /** The generation that it goes on with; `undefined`: the first one. */
  readonly generation: string | undefined;
  /** The object of it that was looked at last. */
  readonly after: ObjectName | undefined;
}

/** What a direct call is told. */
export interface TakeOverReply {
  readonly takenOver: readonly (Omit<TakeOverSummary, 'rest'> & {
    readonly run: string;
    readonly generation: string;
  })[];
  /** Whether it goes on, in calls that follow by themselves. */
  readonly continues: boolean;
}

const FIELDS = ['takeOver', 'pipeline', 'generation', 'after'];

/** @returns `null` where it is no such order. @throws DomainError `E_EVENT`, naming the field */
export function parseTakeOver(value: unknown, pipeline: AnyPipeline): TakeOverOrder | null {
  if (!isObject(value) || !('takeOver' in value)) return null;
  const fields = new Fields(value, FIELDS);
  fields.pipeline(pipeline);
  if (!fields.flag('takeOver')) throw wrong('takeOver', 'must be true');
  const generation = fields.text('generation');
  const place = fields.text('after');
  if (place === undefined) return { generation, after: undefined };
  if (generation === undefined) throw wrong('after', 'needs a generation');
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/s.exec(place) ?? [];
  if (bucket === undefined || key === undefined) throw wrong('after', 'is no object: s3://bucket/key is one');
  return { generation, after: { bucket, key } };
}

/** Goes through the generations of this pipeline in order of their ids, as far as time allows; the rest becomes an order of its own. */
export async function takeOverAll(order: TakeOverOrder, call: DispatchCall): Promise<TakeOverReply> {
  const { pipeline, invocation, ports } = call;
  const { signal, log } = invocation;
  const takenOver: TakeOverReply['takenOver'][number][] = [];
  const goOn = async (generation: string, after?: ObjectName): Promise<TakeOverReply> => {
    const rest = { generation, ...(after === undefined ? {} : { after: locationOf(after) }) };
    await ports.orders.send({ pipeline: pipeline.name, takeOver: true, ...rest }, signal);
    log.info({ takenOver, ...rest }, 'took over, as far as time allowed');
    return { takenOver, continues: true };
  };
  for (const own of await ownGenerations(pipeline, ports.store, signal)) {
    const { id } = own.generation;
    if (order.generation !== undefined && id < order.generation) continue;
    // The first is always taken, or the rest would be all there was.
    if (takenOver.length > 0 && isLate(call)) return goOn(id);
    const after = id === order.generation ? order.after : undefined;
    const { rest, ...summary } = await takeOverGeneration(own, after, call);
    takenOver.push({ run: runOf(id, call.build), generation: id, ...summary });
    if (rest !== null) return goOn(id, rest);
  }
  log.info({ takenOver }, 'took over');
  return { takenOver, continues: false };
}

async function takeOverGeneration(
  { generation, where }: OwnGeneration,
  after: ObjectName | undefined,
  call: DispatchCall,
): Promise<TakeOverSummary> {
  const { pipeline, build, clock, batches, invocation, ports } = call;
  const { signal, metrics } = invocation;
  const { store } = ports;
  const run = runOf(generation.id, build);
  const begin = async () => {
    // As with every order, it says nothing of itself until all of it is planned: before, it cannot be over.
    await beginRun({ id: run, generation: generation.id, build, report: null }, { store, clock }, signal);
  };
  const request = { run, isLate: () => isLate(call), begin, ...(after === undefined ? {} : { after }) };
  const context = { pipeline, generation, build, where, keepsBuilds: true, signal };
  const summary = await invocation.step('order', { run }, (log) =>
    takeOver(request, context, { ...ports, clock, log, metrics }, batches.laps(clock)),
  );
  const begun: RunRecord | undefined = summary.rest === null ? await store.run(run, signal) : undefined;
  if (begun !== undefined && begun.finishedAt === null)
    await store.saveRun({ ...begun, report: JSON.stringify({ kind: 'order' }) }, signal);
  return summary;
}

/** One of each build: the same order again goes on with it. */
function runOf(generation: string, build: string): string {
  return `${generation}-take-over-${build.slice(0, 12)}`;
}
