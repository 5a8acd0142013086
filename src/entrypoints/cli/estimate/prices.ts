import { DomainError } from '../../../domain/errors.ts';

/** What is priced, and the unit that a price is for. All prices are in US dollars, on demand, in the first tier, without a free tier. */
export const priceUnits = {
  lambdaRequests: 'a million invocations',
  lambdaGigabyteSecond: 'a GB-second on Arm',
  lambdaPollerHour: 'an hour of a dedicated poller of SQS',
  s3Writes: 'a million PUT or LIST',
  s3Reads: 'a million GET or HEAD',
  sqsRequests: 'a million requests of a standard queue',
  kinesisShardHour: 'an hour of a provisioned shard',
  kinesisPayloadUnits: 'a million put payload units',
  kinesisStreamHour: 'an hour of a stream on demand',
  kinesisGigabyteIn: 'a GB in, on demand',
  kinesisGigabyteOut: 'a GB out, on demand',
  auroraCapacityUnitHour: 'an hour of a capacity unit of Aurora PostgreSQL',
  auroraGigabyteMonth: 'a month of a GB in the database',
  auroraRequests: 'a million reads and writes of storage',
  cacheGigabyteHour: 'an hour of a GB of serverless Valkey',
  cacheUnits: 'a million processing units of it',
  endpointHour: 'an hour of an interface endpoint in a zone',
  logsGigabyte: 'a GB of log lines',
  alarmMonth: 'a month of an alarm',
  dashboardMonth: 'a month of a dashboard',
  keyMonth: 'a month of a KMS key',
  serverHour: 'an hour of a server (c7g.large: 2 processors, 4 GiB)',
  diskGigabyteMonth: 'a month of a GB of a server’s disk (gp3)',
} as const;

export type PriceName = keyof typeof priceUnits;
export type RegionPrices = Readonly<Record<PriceName, number>>;

export interface PriceList {
  /** The day on which the prices were looked up, `2026-11-28`. */
  readonly asOf: string;
  /** Where each was seen; of a price that is not named here nobody knows. */
  readonly sources: Readonly<Partial<Record<PriceName, string>>>;
  readonly regions: Readonly<Record<string, RegionPrices>>;
}

/** @throws DomainError `E_PRICES` naming the regions there are */
export function pricesOf(list: PriceList, region: string, from: string): RegionPrices {
  const prices = Object.hasOwn(list.regions, region) ? list.regions[region] : undefined;
  if (prices !== undefined) return prices;
  throw new DomainError(
    `${from} has no prices of ${JSON.stringify(region)}, only of ${Object.keys(list.regions).join(', ')}; write those of yours into a file (--print-prices shows the form) and give it by --prices`,
    { code: 'E_PRICES' },
  );
}

/** @throws DomainError `E_PRICES` naming what is wrong, and where */
export function parsePriceList(text: string, from: string): PriceList {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DomainError(`${from} is not JSON`, { code: 'E_PRICES', cause });
  }
  const wrong = (where: string, what: string) =>
    new DomainError(`${from}: ${where} ${what}`, { code: 'E_PRICES' });
  const { asOf, sources, regions } = objectOf(value) ?? {};
  if (typeof asOf !== 'string' || !/^\d{4}-\d\d-\d\d$/.test(asOf))
    throw wrong('asOf', 'has to be the day of the prices, such as "2026-11-28"');
  if (Object.values(objectOf(sources) ?? { not: null }).some((each) => typeof each !== 'string'))
    throw wrong('sources', 'has to be an object that says where each price was seen');
  const byRegion = objectOf(regions);
  if (byRegion === undefined || Object.keys(byRegion).length === 0)
    throw wrong('regions', 'has to be an object with the prices of each region');
  for (const [region, found] of Object.entries(byRegion)) {
    const prices = objectOf(found);
    if (prices === undefined) throw wrong(`regions.${region}`, 'has to be an object of prices');
    for (const [name, unit] of Object.entries(priceUnits)) {
      const price = prices[name];
      if (typeof price !== 'number' || !Number.isFinite(price) || price < 0)
        throw wrong(`regions.${region}.${name}`, `has to be the price of ${unit}, a number from 0`);
    }
    const unknown = Object.keys(prices).find((name) => !Object.hasOwn(priceUnits, name));
    if (unknown !== undefined) throw wrong(`regions.${region}.${unknown}`, 'is no price that is asked for');
  }
  return value as PriceList;
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}
