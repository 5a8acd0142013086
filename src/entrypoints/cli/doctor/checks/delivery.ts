import type { Check, Problem } from '../problem.ts';
import type { QueueMappingInStack, Stack, StreamMappingInStack } from '../stack.ts';
import { referredTo } from '../template.ts';

/** AWS' advice: room for retries while a batch is throttled. */
const VISIBILITY_TIMEOUTS = 6;
/** Lambda does not say how long it waits between tries of a stream's batch: at least this, in seconds. */
const STREAM_BACKOFF = 1;

export const partialResponses: Check = ({ mappings }) =>
  mappings
    .filter(({ partialResponses: on }) => !on)
    .map(({ id, target }) => ({
      code: 'D_PARTIAL_RESPONSES',
      severity: 'error',
      resource: id,
      message: `one failure in a batch for ${target.name} fails all of it: partial responses are off, and what Sluice answers is ignored`,
      remedy: 'Set FunctionResponseTypes to ["ReportBatchItemFailures"].',
    }));

export const endlessRetries: Check = (stack) =>
  streams(stack)
    .filter(({ retries }) => retries < 0)
    .map(({ id, target }) => ({
      code: 'D_ENDLESS_RETRIES',
      severity: 'error',
      resource: id,
      message: `a record that ${target.name} cannot take blocks its shard until it expires: retries have no end`,
      remedy: 'Set MaximumRetryAttempts, e.g. to 10.',
    }));

export const recordAge: Check = (stack) =>
  streams(stack)
    .filter(
      ({ maxRecordAge, stream }) =>
        maxRecordAge < 0 || (stream !== undefined && maxRecordAge >= stream.retention * 3600),
    )
    .map(({ id, maxRecordAge, stream }) => ({
      code: 'D_RECORD_AGE',
      severity: 'warning',
      resource: id,
      message:
        maxRecordAge < 0
          ? 'records that wait too long are trimmed from the stream, and no on-failure destination gets them: there is no maximum age'
          : `the maximum age of records, ${maxRecordAge} s, is not below the retention of the stream, ${stream?.retention ?? 24} h: trimmed records reach no on-failure destination`,
      remedy: 'Set MaximumRecordAgeInSeconds below the retention of the stream.',
    }));

export const bisect: Check = (stack) =>
  streams(stack)
    .filter((mapping) => !mapping.bisect)
    .map(({ id }) => ({
      code: 'D_BISECT',
      severity: 'warning',
      resource: id,
      message:
        'a batch that ends its function (out of memory, timeout) is tried whole again and again: it is not cut in halves',
      remedy: 'Set BisectBatchOnFunctionError.',
    }));

export const onFailure: Check = (stack) =>
  streams(stack).flatMap(({ id, onFailure: destination }): Problem[] => {
    const problem = { code: 'D_ON_FAILURE', resource: id };
    if (destination === 'none')
      return [
        {
          ...problem,
          severity: 'error',
          message: 'records that are given up are gone: there is no on-failure destination',
          remedy: 'Set DestinationConfig.OnFailure to the state bucket.',
        },
      ];
    if (destination === 'queue or topic')
      return [
        {
          ...problem,
          severity: 'warning',
          message:
            'of records that are given up only their place is kept, and they expire: the on-failure destination is a queue or a topic',
          remedy: 'Set DestinationConfig.OnFailure to a bucket: it gets the records themselves.',
        },
      ];
    return [];
  });

export const deadLetters: Check = (stack) =>
  queues(stack)
    .filter(({ queue }) => queue?.maxReceives === null)
    .map(({ queue, target }) => ({
      code: 'D_DEAD_LETTERS',
      severity: 'error',
      resource: queue?.id ?? '',
      message: `a message that ${target.name} cannot take comes again until it expires, and is gone: the queue has no dead letters`,
      remedy: 'Set a RedrivePolicy.',
    }));

export const visibility: Check = (stack) =>
  queues(stack).flatMap(({ queue, target, batchingWindow }): Problem[] => {
    if (queue === undefined) return [];
    const least = target.timeout + batchingWindow;
    const advised = VISIBILITY_TIMEOUTS * target.timeout + batchingWindow;
    if (queue.visibility >= advised) return [];
    const short = queue.visibility < least;
    return [
      {
        code: 'D_VISIBILITY',
        severity: short ? 'error' : 'warning',
        resource: queue.id,
        message: short
          ? `messages come again while ${target.name} still has them: hidden for ${queue.visibility} s, and it may take ${least} s`
          : `messages of throttled batches use their tries up: hidden for ${queue.visibility} s, less than six timeouts of ${target.name}`,
        remedy: `Set VisibilityTimeout to ${advised} or more.`,
      },
    ];
  });

/**
 * A claim of a message from elsewhere lives as long as the invocation may: whoever was killed holds it until then, and the message is "busy". Its tries
 * must not end before the claim does.
 */
export const lease: Check = ({ mappings }) =>
  mappings.flatMap((mapping): Problem[] => {
    const { target, id } = mapping;
    if (target.name !== 'transform' || target.environment['SLUICE_REDIS_URL'] === undefined) return [];
    const patience = patienceOf(mapping);
    if (patience === null || patience >= target.timeout) return [];
    return [
      {
        code: 'D_LEASE',
        severity: 'error',
        resource: id,
        message: `a message whose function was killed is given up while its claim still stands: its tries last ${patience} s, the claim up to ${target.timeout} s`,
        remedy:
          mapping.kind === 'queue'
            ? 'Raise maxReceiveCount or VisibilityTimeout of the queue.'
            : 'Raise MaximumRetryAttempts, or lower the timeout of transform.',
      },
    ];
  });

/** How long a message is tried, in seconds; `null`: unknown, or for ever. */
function patienceOf(mapping: QueueMappingInStack | StreamMappingInStack): number | null {
  if (mapping.kind === 'stream') return mapping.retries < 0 ? null : mapping.retries * STREAM_BACKOFF;
  const { queue } = mapping;
  return queue === undefined || queue.maxReceives === null
    ? null
    : (queue.maxReceives - 1) * queue.visibility;
}

/**
 * Frames are compressed, and a task may be a claim check: a filter on what is inside sees neither, and drops without a word. Messages from elsewhere
 * are JSON, which it sees; but in a queue a large one is a claim check, too.
 */
export const filters: Check = ({ mappings }) =>
  mappings
    .filter(({ filters: patterns }) => patterns.some((filter) => /data|body/.test(JSON.stringify(filter))))
    .flatMap((mapping): Problem[] => {
      const { id, kind, target } = mapping;
      const problem = { code: 'D_FILTERS', resource: id } as const;
      const isOfMessages =
        target.name === 'transform' && (mapping.kind === 'stream' || !isTaskQueue(mapping));
      if (isOfMessages && kind === 'stream') return [];
      if (isOfMessages)
        return [
          {
            ...problem,
            severity: 'warning',
            message:
              'a filter looks into messages from elsewhere; a large one may be a claim check, which it cannot read and deletes without a word',
            remedy:
              'Filter by `transform`, which may return nothing; or keep the filter where no sender makes claim checks.',
          },
        ];
      return [
        {
          ...problem,
          severity: 'error',
          message:
            kind === 'stream'
              ? 'a filter looks into records, but frames are compressed: what it cannot read it drops without a word'
              : 'a filter looks into messages, but a large one is a claim check: what it cannot read it deletes without a word',
          remedy:
            'Filter by `where` in the pipeline, or by the prefix of the event rule; remove FilterCriteria.',
        },
      ];
    });

/** Transform reads tasks from the queue that its environment names; where the template does not tell, it is taken for that one. */
function isTaskQueue({ queue, target }: QueueMappingInStack): boolean {
  const tasks = referredTo(target.environment['SLUICE_TASK_QUEUE_URL']);
  const messages = referredTo(target.environment['SLUICE_MESSAGE_QUEUE_URL']);
  return queue === undefined || queue.id === tasks || queue.id !== messages;
}

function streams({ mappings }: Stack): readonly StreamMappingInStack[] {
  return mappings.filter((mapping) => mapping.kind === 'stream');
}

function queues({ mappings }: Stack): readonly QueueMappingInStack[] {
  return mappings.filter((mapping) => mapping.kind === 'queue');
}
