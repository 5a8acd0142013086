import { CACHE, costOf, DATABASE, line, sumOf, type Cost, type CostContext, type CostLine } from './cost.ts';
import { DAYS_PER_MONTH, HOURS_PER_MONTH } from './limits-of-aws.ts';
import { quantitiesOf, type Quantities } from './quantities.ts';
import { messagesOf, scaled, type Workload } from './workload.ts';

/**
 * The same work on servers that are always on, each with two processors: they read, transform and analyze in one process, without queues and streams. They need the same
 * database, which is left out on both sides, and for messages from elsewhere the same queue and cache.
 */
export interface Servers {
  readonly servers: number;
  /** Seconds of a processor that the work takes. */
  readonly processorSeconds: number;
  readonly lines: readonly CostLine[];
  readonly usdPerMonth: number;
}

const PROCESSORS_PER_SERVER = 2;
/** Of a server's processors, what may be busy at the peak: the rest is for what comes unevenly. */
const BUSY_SHARE = 0.7;
/** One may fail, or be replaced, as a zone may for functions. */
const SERVERS_AT_LEAST = 2;
const DISK_GIGABYTES = 20;

export function serversOf(quantities: Quantities, context: CostContext): Servers {
  const { workload, rates, prices, peak } = context;
  const { messages, database, shape, s3, sqs } = quantities;
  const processorSeconds =
    (workload.rows + workload.keyedMessages) / rates.rowsPerSecond +
    messages * rates.analyzeSecondsPerMessage +
    database.groupChanges * rates.analyzeSecondsPerGroup +
    workload.objects * rates.dispatchSecondsPerObject +
    (workload.objects * shape.searchedBytes) / rates.quoteBytesPerSecond;
  const busy = (processorSeconds / (workload.hours * 3600)) * peak;
  const servers = Math.max(SERVERS_AT_LEAST, Math.ceil(busy / (PROCESSORS_PER_SERVER * BUSY_SHARE)));
  const days = workload.per === 'day' ? DAYS_PER_MONTH : 1;
  const lines = [
    line('EC2', 'hours of a server', servers * HOURS_PER_MONTH, prices.serverHour),
    line('EC2', 'GB of disk', servers * DISK_GIGABYTES, prices.diskGigabyteMonth),
    line('S3', 'million GET and HEAD', ((s3.gets + s3.heads) / 1e6) * days, prices.s3Reads),
  ];
  if (workload.keyedMessages > 0) {
    lines.push(line('SQS', 'million requests', (sqs.ofMessages / 1e6) * days, prices.sqsRequests));
    const { work, standing } = costOf(quantities, context);
    const ofCache = ({ service }: CostLine) => service === CACHE;
    lines.push(
      ...work
        .filter(ofCache)
        .map(({ service, what, quantity, price }) => line(service, what, quantity * days, price)),
      ...standing.filter(ofCache),
    );
  }
  return { servers, processorSeconds, lines, usdPerMonth: sumOf(lines) };
}

/** Both ways to do the same kind of work, so much of it a day. */
export interface Comparison {
  readonly messagesPerDay: number;
  readonly serverlessUsdPerMonth: number;
  readonly serversUsdPerMonth: number;
  readonly servers: number;
}

export interface BreakEven {
  readonly points: readonly Comparison[];
  /** The least messages a day from which on servers are cheaper, as far as was looked; `null`: nowhere. */
  readonly messagesPerDay: number | null;
  /** Servers of the cheaper side there. */
  readonly servers: number | null;
}

/** What is looked at, in messages a day. */
export const LEAST_MESSAGES = 1e6;
const MOST_MESSAGES = 1e11;
const POINTS_PER_DECADE = 24;

/** A workload of every day, made smaller and larger: as many more objects of the same size, over the same groups. */
export function breakEvenOf(context: CostContext): BreakEven {
  const messages = messagesOf(context.workload);
  const compare = (messagesPerDay: number) => comparisonAt(messagesPerDay / messages, context);
  const points: Comparison[] = [];
  const decades = Math.log10(MOST_MESSAGES / LEAST_MESSAGES);
  for (let index = 0; index <= decades * POINTS_PER_DECADE; index++)
    points.push(compare(LEAST_MESSAGES * 10 ** (index / POINTS_PER_DECADE)));
  // From the far end: a step of the servers may make functions cheaper once more.
  const last = points.findLastIndex((point) => !serversAreCheaper(point));
  const [below, above] = [points[last], points[last + 1]];
  if (above === undefined) return { points, messagesPerDay: null, servers: null };
  if (below === undefined) return { points, messagesPerDay: above.messagesPerDay, servers: above.servers };
  let [low, high] = [below.messagesPerDay, above.messagesPerDay];
  while (high / low > 1.0001) {
    const middle = Math.sqrt(low * high);
    if (serversAreCheaper(compare(middle))) high = middle;
    else low = middle;
  }
  return { points, messagesPerDay: high, servers: compare(high).servers };
}

/** A month of functions, queues and stream, in which the work comes so many times. */
export function withoutDatabase({ work, standing }: Cost, times: number): number {
  const others = (lines: readonly CostLine[]) => sumOf(lines.filter(({ service }) => service !== DATABASE));
  return others(work) * times + others(standing);
}

function serversAreCheaper({ serversUsdPerMonth, serverlessUsdPerMonth }: Comparison): boolean {
  return serversUsdPerMonth < serverlessUsdPerMonth;
}

function comparisonAt(factor: number, context: CostContext): Comparison {
  const workload: Workload = { ...scaled(context.workload, factor), per: 'day' };
  const at = { ...context, workload };
  const quantities = quantitiesOf(workload, context.deployment, context.rates);
  const { servers, usdPerMonth } = serversOf(quantities, at);
  return {
    messagesPerDay: messagesOf(workload),
    serverlessUsdPerMonth: withoutDatabase(costOf(quantities, at), DAYS_PER_MONTH),
    serversUsdPerMonth: usdPerMonth,
    servers,
  };
}
