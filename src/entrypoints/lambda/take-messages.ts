import { isSluiceError, messageOf } from '../../domain/errors.ts';
import type { LogFields } from '../../domain/ports/ambient.ts';
import type { SqsRecord } from './events.ts';
import type { Invocation } from './invocation.ts';

/**
 * Works on the messages of a batch one by one; what becomes of one touches no other.
 *
 * @param isLate whether there is no time left to begin another one: the rest is given back, and comes again at once
 * @param work resolves to whether the message is done; what it throws is logged, with what it has said the message is about, and the
 *   message comes again
 * @returns the messages that are to come again
 */
export async function takeMessages(
  records: readonly SqsRecord[],
  { log, signal }: Pick<Invocation, 'log' | 'signal'>,
  isLate: () => boolean,
  work: (record: SqsRecord, about: (fields: LogFields) => void) => Promise<boolean>,
): Promise<readonly SqsRecord[]> {
  const failed: SqsRecord[] = [];
  for (const [index, record] of records.entries()) {
    // The first is always taken: a batch that is given back untouched would come back like this.
    if (signal.aborted || (index > 0 && isLate())) {
      failed.push(...records.slice(index));
      log.info({ messages: records.length - index }, 'gave messages back: there is no time left for them');
      break;
    }
    let known: LogFields = {};
    try {
      if (!(await work(record, (fields) => void (known = fields)))) failed.push(record);
    } catch (thrown) {
      failed.push(record);
      log.error(
        {
          ...known,
          code: isSluiceError(thrown) ? thrown.code : undefined,
          message: record.messageId,
          attempt: receiveCountOf(record),
          error: thrown,
        },
        `a message comes again: ${messageOf(thrown)}`,
      );
    }
  }
  return failed;
}

/** How often a message was given out, this time included. */
export function receiveCountOf({ attributes }: SqsRecord): number {
  return Number(attributes?.ApproximateReceiveCount ?? 1);
}
