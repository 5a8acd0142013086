// Shipments by lane: some rows fail, some are worth a flag, and nothing else happens.
import { definePipeline, DomainError, type AnyPipeline } from 'sluice';

export default definePipeline({
  name: 'shipments',
  version: 1,
  source: { columns: { id: 'integer', lane: 'string', value: 'number' }, id: (row) => row['id'] as number },
  transform: ({ id, lane, value }) => {
    if (Number(id) % 500 === 7) throw new DomainError('no such shipment', { code: 'E_NO_SUCH_SHIPMENT' });
    return { lane: lane ?? '', value: value ?? 0 };
  },
  partitionBy: (message) => message.lane,
  analyze: {
    groupBy: (message) => message.lane,
    measures: ({ count, sum }) => ({ messages: count(), value: sum((message) => message.value) }),
    flag: ({ value }) => (value > 124.5 ? { kind: 'dear', severity: 'warning', message: `${value}` } : null),
  },
  partitions: 4,
  limits: { sectionBytes: 10_000 },
}) satisfies AnyPipeline;
