// When is which hub busy? Every leg counts at both of its ends: two messages a row.
import { type AnyPipeline, definePipeline } from 'sluice';
import { flightColumns, LATE_AFTER_MINUTES, toLeg } from './model.ts';

interface Visit {
  hub: string;
  kind: 'departure' | 'arrival';
  otherEnd: string;
  late: boolean;
  miles: number;
}

export default definePipeline({
  name: 'hub-load',
  version: 1,
  source: { columns: flightColumns },
  transform: (row): Visit[] => {
    const { origin, destination, delay, distance } = toLeg(row);
    const late = delay > LATE_AFTER_MINUTES;
    return [
      { hub: origin, kind: 'departure', otherEnd: destination, late, miles: distance },
      { hub: destination, kind: 'arrival', otherEnd: origin, late, miles: distance },
    ];
  },
  partitionBy: (visit) => visit.hub,
  analyze: {
    groupBy: (visit) => visit.hub,
    measures: ({ count, countIf, distinct, sum }) => ({
      visits: count(),
      departures: countIf((visit) => visit.kind === 'departure'),
      lateArrivals: countIf((visit) => visit.kind === 'arrival' && visit.late),
      connections: distinct((visit) => visit.otherEnd),
      miles: sum((visit) => visit.miles),
    }),
  },
}) satisfies AnyPipeline;
