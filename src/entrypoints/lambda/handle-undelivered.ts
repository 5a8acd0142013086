import { isDomainError, messageOf } from '../../domain/errors.ts';
import type { ObjectName } from '../../domain/lake-object.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import type { ResultStore } from '../../domain/ports/result-store.ts';
import type { Surroundings } from './handler.ts';
import type { Invocation } from './invocation.ts';
import { createdObjectsOf, refuseFaults } from './object-events.ts';
import { locationOf } from './order.ts';
import { Pace } from './pace.ts';
import type { StepTimes } from './step-times.ts';
import type { UndeliveredCall } from './undelivered-call.ts';
import { readUndelivered, undeliveredOf, type Undelivered } from './undelivered-words.ts';
import { putAgain, type PutAgain, type UndeliveredPorts } from './undelivered.ts';

/** What the container has of it; clock, log and counters are an invocation's. */
export interface PutAgainPorts extends Pick<
  UndeliveredPorts,
  'claims' | 'kept' | 'pace' | 'streamName' | 'readShard' | 'sink' | 'random'
> {
  readonly source: ObjectSource;
  readonly store: Pick<ResultStore, 'run'>;
  readonly handOn: HandOn;
}

/** To whom reprocess hands on what it does not do itself. */
export interface HandOn {
  /** To transform: an object with records of somebody else's stream, which only transform takes in. */
  toTransform(name: ObjectName, signal: AbortSignal): Promise<void>;
  /** To reprocess itself, in another call. `null`: there is no queue for it, and whoever called goes on. */
  readonly toItself: ((call: Readonly<Record<string, unknown>>, signal: AbortSignal) => Promise<void>) | null;
}

export interface PutAgainContext {
  readonly pipeline: AnyPipeline;
  readonly build: string;
  readonly clock: Surroundings['clock'];
  /** How long it took lately to put an object's records again. */
  readonly objects: StepTimes;
  readonly invocation: Invocation;
  readonly ports: PutAgainPorts;
}

/** What became of the objects of a direct call. */
export interface UndeliveredReply extends PutAgain {
  readonly objects: number;
  /** Of them, those with records of somebody else's stream: transform takes them in. */
  readonly handedOn: number;
  /** Objects that are no word of an on-failure destination, or of a stream that is not known: the log has each. */
  readonly refused: number;
  /** Whether there is more, which another call goes on with by itself. */
  readonly continues: boolean;
  /** Where to go on, where no other call does. */
  readonly after: string | null;
}

type Outcome = PutAgain & { readonly handedOn: number };

const NOTHING: Outcome = { sent: 0, lost: 0, left: 0, handedOn: 0 };

/** The word of an on-failure destination, or S3's word that one was written. `null`: it is something else. */
export async function undeliveredIn(value: unknown, context: PutAgainContext): Promise<PutAgain | null> {
  const { log } = context.invocation;
  const word = undeliveredOf(value);
  if (word !== null) return putWord(word, true, context);
  const created = createdObjectsOf(value);
  if (created === null) return null;
  let all = NOTHING;
  for (const name of created.names) all = sumOf(all, await putObject(name, true, context));
  refuseFaults(created, log);
  log.info({ ...all }, 'put undelivered records into their stream again');
  return all;
}

/** Puts again what lies below a place, object by object; what there is no time for is another call's. */
export async function putPlaceAgain(
  { undelivered, rate, after }: UndeliveredCall,
  context: PutAgainContext,
): Promise<UndeliveredReply> {
  const { clock, objects, invocation, ports, pipeline } = context;
  const { signal, endsAt, log } = invocation;
  const pace = rate === undefined ? ports.pace : new Pace(rate, clock);
  const inCall = { ...context, ports: { ...ports, pace } };
  const reply = { objects: 0, refused: 0, continues: false, after: null };
  let all = NOTHING;
  let last = after;
  for await (const { key, bucket } of ports.source.list(undelivered, signal, after)) {
    // The first is always taken: a call that does nothing would go on like this.
    if (reply.objects > 0 && pace.freeAt >= objects.lastStart(clock.now(), endsAt)) {
      const rest = {
        pipeline: pipeline.name,
        undelivered,
        ...(rate === undefined ? {} : { rate }),
        after: last,
      };
      await ports.handOn.toItself?.(rest, signal);
      log.info({ ...all, after: last }, 'the rest of the undelivered records is for another call');
      const byItself = ports.handOn.toItself !== null;
      return { ...reply, ...all, continues: true, after: byItself ? null : (last ?? null) };
    }
    const lap = objects.laps(clock);
    try {
      all = sumOf(all, await putObject({ bucket, key }, false, inCall));
    } catch (thrown) {
      if (!isDomainError(thrown)) throw thrown;
      reply.refused++;
      log.error({ code: thrown.code, object: key, error: thrown }, `an object is left: ${messageOf(thrown)}`);
    }
    lap();
    reply.objects++;
    last = key;
  }
  log.info({ ...reply, ...all }, 'put undelivered records into their stream again');
  return { ...reply, ...all };
}

async function putObject(name: ObjectName, unasked: boolean, context: PutAgainContext): Promise<Outcome> {
  const { invocation, ports } = context;
  const { signal, log } = invocation;
  const word = await readUndelivered(ports.source, name, signal);
  if (word.streamName === ports.streamName || word.kept === null) return putWord(word, unasked, context);
  await ports.handOn.toTransform(name, signal);
  log.info(
    { object: locationOf(name), records: word.kept.length, stream: word.streamName },
    'records of another stream are handed on to transform',
  );
  return { ...NOTHING, handedOn: 1 };
}

async function putWord(
  word: Undelivered,
  unasked: boolean,
  { build, clock, invocation, ports }: PutAgainContext,
): Promise<Outcome> {
  const { signal, log, metrics, endsAt: deadline } = invocation;
  // Where results cannot be stored, frames would only be given up again: this throws, and the word comes again later.
  await ports.store.run('none', signal);
  const again = await putAgain(word, { build, unasked, deadline }, { ...ports, clock, log, metrics, signal });
  return { ...again, handedOn: 0 };
}

function sumOf(one: Outcome, other: Outcome): Outcome {
  return {
    sent: one.sent + other.sent,
    lost: one.lost + other.lost,
    left: one.left + other.left,
    handedOn: one.handedOn + other.handedOn,
  };
}
