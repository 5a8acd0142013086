// Parcels by stretch: 1,000 neighbouring ids are one group, so that a row that is lost or counted twice shows where it was.
import { definePipeline, DomainError } from 'sluice';
import { isFiltered, isRefused, STRETCH } from './parcels.ts';

export const pipelineOfParcels = (name: string, partitions: number) =>
  definePipeline({
    name,
    version: 1,
    source: {
      columns: { id: 'integer', lane: 'string', value: 'number' },
      id: (row) => row['id'] as number,
    },
    transform: (row) => {
      const id = Number(row.id);
      if (isRefused(id)) throw new DomainError('no such parcel', { code: 'E_NO_SUCH_PARCEL' });
      if (isFiltered(id)) return null;
      return { id, lane: row.lane ?? '', value: row.value ?? 0 };
    },
    partitionBy: (message) => message.lane,
    analyze: {
      groupBy: ({ id }) => `stretch-${Math.floor(id / STRETCH)}`,
      measures: ({ count, sum, min, max }) => ({
        parcels: count(),
        ids: sum(({ id }) => id),
        // A row that is lost and another that is counted twice for it may leave a sum as it was, but not both.
        squares: sum(({ id }) => (id % STRETCH) ** 2),
        value: sum(({ value }) => value),
        first: min(({ id }) => id),
        last: max(({ id }) => id),
      }),
    },
    partitions,
    limits: { sectionBytes: 64 * 1024 },
  });
