import { DomainError } from '../../domain/errors.ts';

/** A record of somebody else's stream. */
export interface ArrivedRecord {
  readonly stream: string;
  readonly shardId: string;
  /** Decimal digits; the shard's own, and never given again there. */
  readonly sequenceNumber: string;
  /** When the stream took it, in milliseconds since 1970: part of the record, the same however often it is delivered. */
  readonly arrivedAt: number;
}

/** The last millisecond of the year 9999: later dates have more digits. */
const LAST_DATE = Date.UTC(10_000, 0, 1) - 1;

/**
 * Names a record for ever, as `[date of arrival]-[stream]-[shard-id]-[sequence-number]`, such as
 * `2019-05-25-orders-shardId-000000000003-49590338271490256608559692538361571095921575989136588898`. The date is UTC's, and for whoever
 * reads the key: a sequence number alone does not tell how old a record is.
 *
 * @throws DomainError `E_KEY` where one of them is missing
 */
export function arrivalKey({ stream, shardId, sequenceNumber, arrivedAt }: ArrivedRecord): string {
  if (!(arrivedAt >= 0 && arrivedAt <= LAST_DATE)) {
    throw new DomainError(`a record of stream ${stream} has no date of arrival but ${arrivedAt}`, {
      code: 'E_KEY',
    });
  }
  if (stream === '' || shardId === '' || !/^\d+$/.test(sequenceNumber)) {
    throw new DomainError(
      `a record has no stream, shard or sequence number: "${stream}", "${shardId}", "${sequenceNumber}"`,
      { code: 'E_KEY' },
    );
  }
  const date = new Date(arrivedAt).toISOString().slice(0, 10);
  return `${date}-${stream}-${shardId}-${sequenceNumber}`;
}
