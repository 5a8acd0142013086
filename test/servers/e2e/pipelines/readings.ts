// Readings of sensors: as plain as a pipeline gets, so that its requests can be counted.
import { definePipeline, type AnyPipeline } from 'sluice';

export default definePipeline({
  name: 'readings',
  version: 1,
  source: {
    format: 'csv',
    columns: { id: 'integer', sensor: 'string', value: 'number' },
    id: (row) => row['id'] as number,
  },
  transform: ({ sensor, value }) => ({ sensor: sensor ?? '', value: value ?? 0 }),
  partitionBy: (message) => message.sensor,
  analyze: {
    groupBy: (message) => message.sensor,
    measures: ({ count, sum }) => ({ readings: count(), value: sum((message) => message.value) }),
  },
  partitions: 8,
  limits: { sectionBytes: 100_000 },
}) satisfies AnyPipeline;
