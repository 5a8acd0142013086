// How reliable is each lane of the network? Flights in, one answer a lane out.
import { type AnyPipeline, definePipeline } from 'sluice';
import { flightColumns, LATE_AFTER_MINUTES, toLeg } from './model.ts';

const BUSY_LANE_FLIGHTS = 500;
const LATE_SHARE_LIMIT = 0.3;

export default definePipeline({
  name: 'lane-performance',
  version: 1,
  source: {
    format: 'parquet',
    columns: flightColumns,
    // A recorded delay below one hour early is a typing error.
    where: { delay: { $gte: -60 } },
  },
  transform: toLeg,
  partitionBy: (leg) => leg.lane,
  analyze: {
    groupBy: (leg) => leg.lane,
    measures: ({ count, countIf, max, mean, quantiles }) => ({
      flights: count(),
      late: countIf((leg) => leg.delay > LATE_AFTER_MINUTES),
      lateShare: mean((leg) => (leg.delay > LATE_AFTER_MINUTES ? 1 : 0)),
      meanDelay: mean((leg) => leg.delay),
      delay: quantiles((leg) => leg.delay),
      worst: max((leg) => leg.delay),
      distance: max((leg) => leg.distance),
    }),
    findings: (lane, { flights, lateShare, delay }) => {
      if (flights < BUSY_LANE_FLIGHTS || lateShare === null || lateShare <= LATE_SHARE_LIMIT) return null;
      return {
        kind: 'late-lane',
        severity: lateShare > 0.4 ? 'critical' : 'warning',
        message: `${lane}: ${(lateShare * 100).toFixed(0)} % of ${flights} flights late, every tenth by more than ${Math.round(delay.p90 ?? 0)} min`,
      };
    },
    flag: (leg) =>
      leg.delay > 24 * 60
        ? { kind: 'lost-a-day', severity: 'critical', message: `${leg.lane} arrived ${leg.delay} min late` }
        : null,
  },
}) satisfies AnyPipeline;
