import { InfrastructureError } from '../../domain/errors.ts';
import type { KinesisRecord, PartialResponse, SqsRecord } from './events.ts';

/** The messages that are to come again, and no others. */
export function sqsResponse(failed: Iterable<SqsRecord>): PartialResponse {
  return {
    batchItemFailures: [...failed].map(({ messageId }) => ({ itemIdentifier: identifier(messageId) })),
  };
}

/** A stream is given again from one record on: the lowest that is not done. What lies behind it is seen twice. */
export function kinesisResponse(unfinished: Iterable<KinesisRecord>): PartialResponse {
  const numbers = [...unfinished].map(({ kinesis }) => kinesis.sequenceNumber);
  if (numbers.length === 0) return { batchItemFailures: [] };
  // They have more digits than a number holds, and text would put 9 behind 10.
  const lowest = numbers.reduce((least, number) => (BigInt(number) < BigInt(least) ? number : least));
  return { batchItemFailures: [{ itemIdentifier: identifier(lowest) }] };
}

/** A mapping takes an empty name for "all of it failed": what is done already would come again, for ever. */
function identifier(name: string): string {
  if (name !== '') return name;
  throw new InfrastructureError('a record has no name that its failure could be reported under', {
    code: 'E_INTERNAL',
  });
}
