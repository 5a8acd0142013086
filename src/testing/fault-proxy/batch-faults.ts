import type { BatchOperation, WireFault, WireFaultPlan } from './wire-faults.ts';

type Entry = Readonly<Record<string, unknown>>;
type Rejection = Extract<WireFault, { kind: 'reject' }>;

/** A batch as it is forwarded, and how to answer the client once the service has answered. */
export interface ForwardedBatch {
  /** `null`: nothing is left to forward. */
  readonly request: unknown;
  /** @param answer what the service said; `undefined` where nothing was forwarded. */
  readonly answer: (answer: unknown) => unknown;
}

/** Takes the entries that a fault rejects out of a batch, or puts them into another order. */
export function batchWithFaults(
  operation: BatchOperation,
  request: unknown,
  faults: readonly WireFault[],
  plan: WireFaultPlan,
  call: number,
): ForwardedBatch {
  const list = operation === 'PutRecords' ? 'Records' : 'Entries';
  const entries = (request as Record<string, readonly Entry[]>)[list] ?? [];
  const rejections = faults.filter((fault) => fault.kind === 'reject');
  const rejectedBy = entries.map((_, at) =>
    rejections.find((rejection) =>
      typeof rejection.entries === 'number'
        ? plan.chance('entry', operation, `${call}`, `${at}`) < rejection.entries
        : rejection.entries.includes(at),
    ),
  );

  const order = faults.some(({ kind }) => kind === 'reorder')
    ? plan.shuffled(entries.length, 'order', operation, `${call}`)
    : entries.map((_, at) => at);
  const forwarded = order.filter((at) => rejectedBy[at] === undefined);
  return {
    request:
      forwarded.length === 0 ? null : { ...(request as object), [list]: forwarded.map((at) => entries[at]) },
    answer: (answer) =>
      operation === 'PutRecords'
        ? putRecordsAnswer(answer, forwarded, rejectedBy)
        : batchAnswer(answer, entries, rejectedBy),
  };
}

/** Outcomes go by place, so each returns to the place that its record had. */
function putRecordsAnswer(
  answer: unknown,
  forwarded: readonly number[],
  rejectedBy: readonly (Rejection | undefined)[],
): unknown {
  const { Records = [], FailedRecordCount = 0 } = (answer ?? {}) as {
    Records?: readonly Entry[];
    FailedRecordCount?: number;
  };
  const outcomes = new Map(forwarded.map((at, place) => [at, Records[place]]));
  return {
    ...(answer as object | undefined),
    FailedRecordCount: FailedRecordCount + rejectedBy.length - forwarded.length,
    Records: rejectedBy.map((rejection, at) =>
      rejection === undefined
        ? outcomes.get(at)
        : {
            ErrorCode: rejection.code ?? 'ProvisionedThroughputExceededException',
            ErrorMessage: 'Planned by the fault proxy',
          },
    ),
  };
}

/** Outcomes go by the entries' ids. */
function batchAnswer(
  answer: unknown,
  entries: readonly Entry[],
  rejectedBy: readonly (Rejection | undefined)[],
): unknown {
  const { Successful = [], Failed = [] } = (answer ?? {}) as {
    Successful?: readonly Entry[];
    Failed?: readonly Entry[];
  };
  const refused = entries.flatMap(({ Id }, at) => {
    const rejection = rejectedBy[at];
    if (rejection === undefined) return [];
    return {
      Id,
      Code: rejection.code ?? 'InternalError',
      SenderFault: rejection.senderFault ?? false,
      Message: 'Planned by the fault proxy',
    };
  });
  return { Successful, Failed: [...Failed, ...refused] };
}

type Message = Entry & { readonly Attributes?: Readonly<Record<string, string>> };

/** Messages of each queue that are to be delivered once more. */
export class SecondDeliveries {
  readonly #waiting = new Map<string, Message[]>();

  /**
   * Changes an answer of ReceiveMessage: what waits is put in as far as there is room, `duplicate` keeps what came now for
   * later, `reorder` mixes.
   */
  apply(
    request: { readonly QueueUrl?: string; readonly MaxNumberOfMessages?: number },
    answer: { readonly Messages?: readonly Message[] },
    faults: readonly WireFault[],
    shuffled: (length: number) => readonly number[],
  ): unknown {
    const queue = request.QueueUrl ?? '';
    const received = answer.Messages ?? [];
    const waiting = this.#waiting.get(queue) ?? [];
    const room = Math.max(0, (request.MaxNumberOfMessages ?? 1) - received.length);
    const again = waiting.splice(0, room);
    if (faults.some(({ kind }) => kind === 'duplicate')) waiting.push(...received.map(receivedAgain));
    this.#waiting.set(queue, waiting);

    const messages = [...received, ...again];
    if (messages.length === 0) return answer;
    const order = faults.some(({ kind }) => kind === 'reorder')
      ? shuffled(messages.length)
      : messages.map((_, at) => at);
    return { ...answer, Messages: order.map((at) => messages[at]) };
  }

  waitFor(queue: string): boolean {
    return (this.#waiting.get(queue)?.length ?? 0) > 0;
  }
}

function receivedAgain(message: Message): Message {
  const count = message.Attributes?.['ApproximateReceiveCount'];
  if (count === undefined) return message;
  return {
    ...message,
    Attributes: { ...message.Attributes, ApproximateReceiveCount: `${Number(count) + 1}` },
  };
}
