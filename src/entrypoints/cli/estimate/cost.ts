import type { Deployment } from './deployment.ts';
import { HOURS_PER_MONTH } from './limits-of-aws.ts';
import type { RegionPrices } from './prices.ts';
import type { Quantities } from './quantities.ts';
import type { Rates } from './rates.ts';
import type { Workload } from './workload.ts';

export interface CostLine {
  readonly service: string;
  readonly what: string;
  /** In units of what is billed, and what one of these costs. */
  readonly quantity: number;
  readonly price: number;
  readonly usd: number;
}

export interface Cost {
  /** What the work costs: a day's, or what is done once. */
  readonly work: readonly CostLine[];
  /** What is billed by the month, whether there is work or not. */
  readonly standing: readonly CostLine[];
  readonly workUsd: number;
  readonly standingUsd: number;
}

export interface CostContext {
  readonly workload: Workload;
  readonly deployment: Deployment;
  readonly rates: Rates;
  readonly prices: RegionPrices;
  /** Of the busiest moment, over the average. */
  readonly peak: number;
}

/** Services that servers need as well. */
export const DATABASE = 'Aurora';
export const CACHE = 'Valkey';

const MILLION = 1e6;
const GIGABYTE = 1e9;
const GIBIBYTE = 1024 ** 3;
/** Valkey is billed for 100 MB at least. */
const CACHE_MINIMUM_BYTES = 100e6;
/** A message from elsewhere is kept as a key so long, in days: `limits.keyHorizonMs`. */
const KEY_DAYS = 14;

export function costOf(quantities: Quantities, context: CostContext): Cost {
  const { deployment, prices, workload } = context;
  const { s3, sqs, functions, stream, cache, logBytes } = quantities;
  const invocations = Object.values(functions).reduce((sum, each) => sum + each.invocations, 0);
  const gigabyteSeconds = Object.values(functions).reduce((sum, each) => sum + each.gigabyteSeconds, 0);
  const requests = sqs.sends + sqs.receives + sqs.deletes;
  const onDemand = deployment.shards === null;
  const work = [
    line('Lambda', 'million invocations', invocations / MILLION, prices.lambdaRequests),
    line('Lambda', 'GB-seconds', gigabyteSeconds, prices.lambdaGigabyteSecond),
    line('S3', 'million LIST', s3.lists / MILLION, prices.s3Writes),
    line('S3', 'million GET and HEAD', (s3.gets + s3.heads) / MILLION, prices.s3Reads),
    line('SQS', 'million requests', requests / MILLION, prices.sqsRequests),
    ...(onDemand
      ? [
          line('Kinesis', 'GB in', stream.roundedBytes / GIBIBYTE, prices.kinesisGigabyteIn),
          line('Kinesis', 'GB out', stream.roundedBytes / GIBIBYTE, prices.kinesisGigabyteOut),
        ]
      : [
          line(
            'Kinesis',
            'million put payload units',
            stream.payloadUnits / MILLION,
            prices.kinesisPayloadUnits,
          ),
        ]),
    ...(workload.keyedMessages > 0
      ? [line(CACHE, 'million processing units', cache.units / MILLION, prices.cacheUnits)]
      : []),
    ...databaseWork(quantities, context),
    line('CloudWatch', 'GB of log', logBytes / GIGABYTE, prices.logsGigabyte),
  ];
  const standing = [
    onDemand
      ? line('Kinesis', 'hours of a stream', HOURS_PER_MONTH, prices.kinesisStreamHour)
      : line(
          'Kinesis',
          'hours of a shard',
          (deployment.shards ?? 0) * HOURS_PER_MONTH,
          prices.kinesisShardHour,
        ),
    line(
      'SQS',
      'million requests to empty queues',
      (quantities.idlePolls * HOURS_PER_MONTH) / 24 / MILLION,
      prices.sqsRequests,
    ),
    ...(deployment.transformPollers === null
      ? []
      : [
          line(
            'Lambda',
            'hours of a poller',
            deployment.transformPollers.minimum * HOURS_PER_MONTH,
            prices.lambdaPollerHour,
          ),
        ]),
    ...databaseStanding(quantities, context),
    ...(workload.keyedMessages > 0
      ? [
          line(
            CACHE,
            'hours of a GB',
            (Math.min(deployment.cacheBytes, Math.max(CACHE_MINIMUM_BYTES, cache.bytes)) / GIGABYTE) *
              HOURS_PER_MONTH,
            prices.cacheGigabyteHour,
          ),
        ]
      : []),
    line(
      'VPC',
      'hours of an endpoint in a zone',
      deployment.endpoints * deployment.zones * HOURS_PER_MONTH,
      prices.endpointHour,
    ),
    line('CloudWatch', 'alarms', deployment.alarms, prices.alarmMonth),
    line('CloudWatch', 'dashboards', deployment.dashboards, prices.dashboardMonth),
    line('KMS', 'keys', deployment.keys, prices.keyMonth),
  ];
  return { work, standing, workUsd: sumOf(work), standingUsd: sumOf(standing) };
}

/** Capacity units over the smallest, while there is work, and what is written. */
function databaseWork(quantities: Quantities, context: CostContext): readonly CostLine[] {
  const { deployment, prices } = context;
  const { instances } = deployment.database;
  const hours = context.workload.hours;
  const over = capacityUnits(quantities, context, 1) - deployment.database.minimumCapacity;
  return [
    line(
      DATABASE,
      'hours of a unit, over the smallest',
      over * instances * hours,
      prices.auroraCapacityUnitHour,
    ),
    line(DATABASE, 'million writes', quantities.database.writes / MILLION, prices.auroraRequests),
  ];
}

function databaseStanding(quantities: Quantities, { deployment, prices, workload }: CostContext) {
  const { minimumCapacity, instances } = deployment.database;
  const days = workload.per === 'day' ? KEY_DAYS : 1;
  const bytes = quantities.database.groupBytes + quantities.database.addedBytes * days;
  return [
    line(
      DATABASE,
      'hours of a unit, the smallest',
      minimumCapacity * instances * HOURS_PER_MONTH,
      prices.auroraCapacityUnitHour,
    ),
    line(DATABASE, 'GB kept', bytes / GIGABYTE, prices.auroraGigabyteMonth),
  ];
}

/** Capacity units that a load of the database needs, at so many times the average. */
export function capacityUnits(
  { database }: Quantities,
  { workload, deployment, rates }: Pick<CostContext, 'workload' | 'deployment' | 'rates'>,
  times: number,
): number {
  const { minimumCapacity, maximumCapacity } = deployment.database;
  const processors = (database.processorSeconds / (workload.hours * 3600)) * times;
  const units = processors / rates.busyShare / rates.processorsPerCapacityUnit;
  return Math.min(maximumCapacity, Math.max(minimumCapacity, units));
}

export function line(service: string, what: string, quantity: number, price: number): CostLine {
  return { service, what, quantity, price, usd: quantity * price };
}

export function sumOf(lines: readonly CostLine[]): number {
  return lines.reduce((sum, { usd }) => sum + usd, 0);
}
