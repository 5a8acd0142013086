import { isSluiceError, messageOf } from '../../domain/errors.ts';
import type { SqsRecord } from './events.ts';
import type { Invocation } from './invocation.ts';

/**
 * Works on the messages of a batch one by one; what becomes of one touches no other.
 *
 * @param isLate whether there is no time left to begin another one: the rest is given back, and comes again at once
 * @param work resolves to whether the message is done; what it throws is logged, and the message comes again
 * @returns the messages that are to come again
 */
export async function takeMessages(
  records: readonly SqsRecord[],
  { log, signal }: Pick<Invocation, 'log' | 'signal'>,
  isLate: () => boolean,
  work: (record: SqsRecord) => Promise<boolean>,
): Promise<readonly SqsRecord[]> {
  const failed: SqsRecord[] = [];
  for (const [index, record] of records.entries()) {
    // The first is always taken: a batch that is given back untouched would come back like this.
    if (signal.aborted || (index > 0 && isLate())) {
      failed.push(...records.slice(index));
      log.info({ messages: records.length - index }, 'gave messages back: there is no time left for them');
      break;
    }
    try {
      if (!(await work(record))) failed.push(record);
    } catch (thrown) {
      failed.push(record);
      log.error(
        {
          code: isSluiceError(thrown) ? thrown.code : undefined,
          message: record.messageId,
          attempt: Number(record.attributes?.ApproximateReceiveCount ?? 1),
          error: thrown,
        },
        `a message comes again: ${messageOf(thrown)}`,
      );
    }
  }
  return failed;
}
