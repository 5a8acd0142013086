import { formatBytes, formatCount, formatDuration, formatNumber, formatPlural } from '../terminal/format.ts';
import { renderTable } from '../terminal/table.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { CostLine } from './cost.ts';
import type { Estimate, EstimateRequest } from './estimate.ts';
import { DAYS_PER_MONTH } from './limits-of-aws.ts';
import { LEAST_MESSAGES, withoutDatabase } from './servers.ts';
import type { Workload } from './workload.ts';

/** An estimate for people. */
export function renderEstimate(
  { workload, deployment, functions: wanted }: EstimateRequest,
  made: Estimate,
  { region, asOf, from }: { readonly region: string; readonly asOf: string; readonly from: string },
  terminal: Terminal,
): string {
  const { quantities, cost, usdPerMonth, burst, servers, breakEven, notes } = made;
  const { s3, sqs, functions, stream, cache, database, shape } = quantities;
  const serverless = withoutDatabase(cost, workload.per === 'day' ? DAYS_PER_MONTH : 1);
  const seconds = workload.hours * 3600;
  const times = workload.per === 'day' ? 'a day' : 'once';
  const perSecond = (value: number) => `${formatNumber(value / seconds)} a second`;
  const amounts: (readonly [string, string, string, string])[] = [
    [
      'tasks',
      '',
      formatCount(quantities.tasks),
      workload.objects === 0 ? '' : `${formatPlural(shape.sections, 'section')} an object`,
    ],
    ['S3', 'GET, HEAD', formatCount(s3.gets + s3.heads), ''],
    ['', 'LIST', formatCount(s3.lists), 'one a task, for verdicts on rows'],
    [
      'SQS',
      'requests',
      formatCount(sqs.sends + sqs.receives + sqs.deletes),
      `${formatCount(quantities.idlePolls)} a day to empty queues besides`,
    ],
    ...Object.entries(functions).map(
      ([name, { invocations, gigabyteSeconds, seconds: busy }]) =>
        [
          name === 'dispatch' ? 'Lambda' : '',
          name,
          formatCount(invocations),
          `${formatNumber(gigabyteSeconds)} GB-s, ${formatNumber(busy / Math.max(1, invocations))} s each`,
        ] as const,
    ),
    ['Kinesis', 'records', formatCount(stream.records), perSecond(stream.records)],
    ['', 'PutRecords', formatCount(stream.putRequests), ''],
    [
      '',
      'bytes',
      formatBytes(stream.bytes),
      deployment.shards === null
        ? 'on demand'
        : `${formatCount(stream.payloadUnits)} payload units, ${deployment.shards} shards`,
    ],
    ...(workload.keyedMessages === 0
      ? []
      : [
          [
            'Redis',
            'claims',
            formatCount(cache.claims),
            `${perSecond(cache.claims)}, in ${formatCount(cache.scripts)} scripts`,
          ] as const,
          ['', 'memory', formatBytes(cache.bytes), ''] as const,
        ]),
    ['PostgreSQL', 'transactions', formatCount(database.transactions), perSecond(database.transactions)],
    ['', 'groups changed', formatCount(database.groupChanges), perSecond(database.groupChanges)],
    [
      '',
      'groups kept',
      formatBytes(database.groupBytes),
      `and ${formatBytes(database.addedBytes)} more ${times} for objects and keys`,
    ],
    ['CloudWatch', 'log', formatBytes(quantities.logBytes), ''],
  ];
  const right = { align: 'right' } as const;
  const parts = [
    `${describe(workload)}\n${region}, prices of ${asOf} (${from}); ${deployment.memoryMiB.transform} MiB a function\n`,
    renderTable(
      [{ title: 'service' }, { title: 'what' }, { title: times, ...right }, { title: '' }],
      amounts,
      terminal,
    ),
    costTable(`cost ${times}`, cost.work, terminal),
    costTable('cost a month, whether there is work or not', cost.standing, terminal),
    usdPerMonth === null
      ? `in all: ${dollars(cost.workUsd)} once, and ${dollars(cost.standingUsd)} a month while it stands\n`
      : `in all: ${dollars(usdPerMonth)} a month (${dollars(cost.workUsd)} a day, and ${dollars(cost.standingUsd)} a month)\n`,
    ...(burst.tasks === 0
      ? []
      : [
          `all at once: ${formatCount(burst.tasks)} tasks of ${formatDuration(burst.secondsPerTask)}; ${formatCount(wanted)} functions ${
            burst.secondsToReach === null
              ? `never (${formatCount(burst.ramp.most)} at most)`
              : `after ${formatDuration(burst.secondsToReach)}`
          }; done after ${formatDuration(burst.seconds)}, bound by ${burst.boundBy}\n` +
            `  ${Object.entries(burst.bounds)
              .map(([name, bound]) => `${name} ${formatDuration(bound)}`)
              .join(' · ')}\n`,
        ]),
    `without the database: ${dollars(serverless)} a month by functions, ${dollars(servers.usdPerMonth)} on ${formatCount(servers.servers)} servers (c7g.large) that are always on\n` +
      `break-even: ${
        breakEven.messagesPerDay === null
          ? 'servers are nowhere cheaper'
          : `servers are cheaper from ${formatCount(Number(breakEven.messagesPerDay.toPrecision(3)))} messages a day on${breakEven.messagesPerDay === LEAST_MESSAGES ? ', or fewer' : ''}`
      }\n`,
    ...(notes.length === 0 ? [] : [notes.map((note) => `note: ${note}\n`).join('')]),
  ];
  return parts.join('\n');
}

function describe({ per, objects, rows, bytes, keyedMessages, hours }: Workload): string {
  const parts = [
    ...(objects > 0
      ? [`${formatCount(objects)} objects, ${formatCount(rows)} rows, ${formatBytes(bytes)}`]
      : []),
    ...(keyedMessages > 0 ? [`${formatCount(keyedMessages)} messages from elsewhere`] : []),
  ];
  return `${parts.join(' and ')}, ${per === 'day' ? 'every day' : 'once'}, within ${formatNumber(hours)} hours`;
}

function costTable(title: string, lines: readonly CostLine[], terminal: Terminal): string {
  const right = { align: 'right' } as const;
  return renderTable(
    [
      { title },
      { title: 'unit' },
      { title: 'units', ...right, format: (value) => formatNumber(value as number) },
      { title: '$ each', ...right, format: (value) => exact(value as number) },
      { title: '$', ...right, format: (value) => (value as number).toFixed(2) },
    ],
    lines.map(({ service, what, quantity, price, usd }) => [service, what, quantity, price, usd]),
    terminal,
  );
}

/** All digits of a price. */
function exact(price: number): string {
  return price.toLocaleString('en-US', { maximumFractionDigits: 12 });
}

function dollars(usd: number): string {
  return `$${usd.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}
