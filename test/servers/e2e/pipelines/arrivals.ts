// Shipments as somebody else's stream has them: nothing in them names one, the stream does.
import { definePipeline, type AnyPipeline } from 'sluice';

export default definePipeline({
  name: 'arrivals',
  version: 1,
  source: { columns: { lane: 'string', value: 'number' } },
  transform: ({ lane, value }) => ({ lane: lane ?? '', value: value ?? 0 }),
  partitionBy: (message) => message.lane,
  analyze: {
    groupBy: (message) => message.lane,
    measures: ({ count, sum }) => ({ messages: count(), value: sum((message) => message.value) }),
  },
  partitions: 4,
}) satisfies AnyPipeline;
