/**
 * The rates that `sluice estimate` counts with (src/entrypoints/cli/estimate/rates.ts), measured: CPU time, so that a busy machine disturbs little.
 *
 *   node bench/estimate-rates.ts [rows, default 300000]
 *
 * Rows are items of a supply chain, 20 columns of CSV; `transform` makes a message of five fields of each, `analyze` counts and sums by item. The stream is in memory, the
 * database PostgreSQL on loopback (Debian: `postgresql`), once with few groups and once with nearly as many as messages: the difference is what a group costs.
 */
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import pg from 'pg';
import { SystemClock } from '../src/adapters/inmemory/clock.ts';
import { InMemoryErrorRouter } from '../src/adapters/inmemory/error-router.ts';
import { InMemoryKilledRows } from '../src/adapters/inmemory/killed-rows.ts';
import { silentLog } from '../src/adapters/inmemory/log.ts';
import { InMemoryMetrics } from '../src/adapters/inmemory/metrics.ts';
import { InMemoryObjectSource } from '../src/adapters/inmemory/object-source.ts';
import { SystemRandom } from '../src/adapters/inmemory/random.ts';
import { InMemoryStream } from '../src/adapters/inmemory/stream.ts';
import { InMemoryTaskQueue } from '../src/adapters/inmemory/task-queue.ts';
import { migrate } from '../src/adapters/postgres/migrate.ts';
import { PgDatabase } from '../src/adapters/postgres/pg-database.ts';
import { openPostgresResultStore } from '../src/adapters/postgres/result-store.ts';
import { analyzeRecord } from '../src/application/analyze/analyze.ts';
import { dispatch } from '../src/application/dispatch/dispatch.ts';
import { createMessageEncoding } from '../src/application/frames/encodings.ts';
import { generationOf } from '../src/application/generation.ts';
import { mergeStates } from '../src/application/measures/state.ts';
import { transformTask } from '../src/application/transform/transform.ts';
import { count, sum } from '../src/domain/measure.ts';
import { definePipeline } from '../src/domain/pipeline.ts';
import { startPostgres } from '../test/servers/postgres-server.ts';

const rows = Number(process.argv[2] ?? 300_000);
const WARM_UP_ROWS = 60_000;
const BATCH_RECORDS = 100;
const never = new AbortController().signal;
const clock = new SystemClock();
const random = new SystemRandom({ clock });
const CLOCK_TICKS = 100;

interface Movement {
  readonly item: string;
  readonly site: string;
  readonly quantity: number;
  readonly cost: number;
  readonly at: string;
}

const pipeline = (name: string) =>
  definePipeline({
    name,
    version: 1,
    source: {
      format: 'csv',
      columns: { item: 'string', site: 'string', quantity: 'integer', cost: 'number', shipped: 'string' },
    },
    transform: ({ item, site, quantity, cost, shipped }): Movement => ({
      item: item ?? '',
      site: site ?? '',
      quantity: quantity ?? 0,
      cost: cost ?? 0,
      at: shipped ?? '',
    }),
    partitionBy: ({ item }) => item,
    analyze: {
      groupBy: ({ item }) => item,
      measures: {
        movements: count(),
        quantity: sum(({ quantity }) => quantity),
        cost: sum(({ cost }) => cost),
      },
    },
  });

const HEADER =
  'item,site,quantity,cost,shipped,supplier,carrier,lane,mode,origin,destination,weight,volume,due,arrived,status,buyer,planner,lot,remark';

function csvOf(howMany: number, groups: number): Buffer {
  // The same rows in every run: a generator of numbers from a seed.
  let state = 20_261_128;
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const lines = [HEADER];
  for (let row = 0; row < howMany; row++) {
    const day = `2026-11-${String(1 + next(28)).padStart(2, '0')}T${String(next(24)).padStart(2, '0')}:15:00Z`;
    lines.push(
      `ITEM-${String(next(groups)).padStart(8, '0')},SITE-${next(400)},${next(5_000)},${(next(1_000_000) / 100).toFixed(2)},${day},` +
        `Supplier number ${next(900)} Ltd,Carrier ${next(60)},LANE-${next(3_000)},${['sea', 'air', 'road', 'rail'][next(4)] ?? ''},Port of origin ${next(300)},"Warehouse ${next(500)}, dock ${next(40)}",` +
        `${(next(100_000) / 10).toFixed(1)},${(next(10_000) / 100).toFixed(2)},${day},${day},${['planned', 'moving', 'arrived'][next(3)] ?? ''},buyer-${next(200)}@example.com,planner-${next(80)}@example.com,` +
        `LOT-${String(next(1_000_000)).padStart(7, '0')},fragile: keep upright`,
    );
  }
  return Buffer.from(`${lines.join('\n')}\n`, 'utf8');
}

/** Before compression, of a typical message. */
function encodedBytes(): number {
  const message: Movement = {
    item: 'ITEM-00001234',
    site: 'SITE-123',
    quantity: 2_500,
    cost: 5_000.25,
    at: '2026-11-14T12:15:00Z',
  };
  return createMessageEncoding('packed').encode(message).size;
}

const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

const postgres = await startPostgres();
const client = new pg.Client(postgres.url);
try {
  await client.connect();
  const database = new PgDatabase({ url: postgres.url });
  await migrate(database, {}, never);
  const store = await openPostgresResultStore(database, { mergeStates, clock, random });

  /** CPU seconds of the processes that serve connections. */
  const databaseCpu = async (): Promise<number> => {
    const { rows: backends } = await client.query<{ pid: number }>(
      "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    );
    let ticks = 0;
    for (const { pid } of backends) {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      ticks += Number(fields[11]) + Number(fields[12]);
    }
    return ticks / CLOCK_TICKS;
  };
  const logPosition = async (): Promise<bigint> => {
    const { rows: found } = await client.query<{ bytes: string }>(
      "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint AS bytes",
    );
    return BigInt(found[0]?.bytes ?? 0);
  };
  const sizeOf = async (table: string): Promise<number> => {
    await client.query(`VACUUM FULL sluice.${table}`);
    const { rows: found } = await client.query<{ bytes: string }>(
      'SELECT pg_total_relation_size($1::regclass) AS bytes',
      [`sluice.${table}`],
    );
    return Number(found[0]?.bytes);
  };

  const measure = async (name: string, howMany: number, groups: number) => {
    const lake = new InMemoryObjectSource();
    const text = csvOf(howMany, groups);
    lake.put({ bucket: 'lake', key: `${name}.csv` }, text);
    const tasks = new InMemoryTaskQueue({ clock });
    const metrics = new InMemoryMetrics();
    const declared = pipeline(name);
    const stream = new InMemoryStream(
      { clock, random },
      { partitions: declared.partitions, shards: 1, capacityBytes: Number.POSITIVE_INFINITY },
    );
    const ports = {
      source: lake,
      sink: stream,
      tasks,
      store,
      killed: new InMemoryKilledRows(),
      router: new InMemoryErrorRouter(),
      clock,
      random,
      log: silentLog,
      metrics,
    };
    const generation = generationOf(declared, undefined);
    const context = { pipeline: declared, generation, build: 'bench', where: undefined, signal: never };
    await dispatch({ run: name, locations: [`lake/${name}.csv`] }, context, ports);
    const transformFrom = cpuSeconds();
    for (;;) {
      const [received] = await tasks.receive(1, 3_600_000, never);
      if (received === undefined) break;
      await transformTask(received.task, context, ports);
      await tasks.delete(received.receipt, never);
    }
    const transformCpu = cpuSeconds() - transformFrom;
    const databaseFrom = await databaseCpu();
    const logFrom = await logPosition();
    const analyzeFrom = cpuSeconds();
    for (;;) {
      const records = stream.read(0, stream.checkpoint(0), BATCH_RECORDS, Number.POSITIVE_INFINITY);
      if (records.length === 0) break;
      for (const { data } of records) await analyzeRecord(data, context, ports);
      stream.setCheckpoint(0, records.at(-1)!.sequenceNumber);
    }
    const analyzeCpu = cpuSeconds() - analyzeFrom;
    const frames = metrics.total('frames');
    return {
      rowBytes: text.length / howMany,
      transformCpu,
      analyzeCpu,
      databaseCpu: (await databaseCpu()) - databaseFrom,
      logBytes: Number((await logPosition()) - logFrom),
      frames,
      frameBytes: metrics.total('frameBytes'),
    };
  };

  await measure('warm-up', WARM_UP_ROWS, 1_000);
  const few = await measure('few-groups', rows, 32);
  const groupsBefore = await sizeOf('groups');
  const many = await measure('many-groups', rows, 10 * rows);
  const groupBytes = (await sizeOf('groups')) - groupsBefore;
  const { rows: counted } = await client.query<{ groups: string }>(
    'SELECT count(*) AS groups FROM sluice.groups g JOIN sluice.generations n ON n.id = g.generation_id WHERE n.pipeline = $1',
    ['many-groups'],
  );
  const madeGroups = Number(counted[0]?.groups);
  console.log({
    rowBytes: many.rowBytes,
    frames: [few.frames, many.frames],
    transformRowsPerCpuSecond: rows / many.transformCpu,
    transformMegabytesPerCpuSecond: (rows * many.rowBytes) / many.transformCpu / 1e6,
    encodedBytesPerMessage: encodedBytes(),
    packedBytesPerMessage: many.frameBytes / rows,
    packedBytesPerMessageOfFewGroups: few.frameBytes / rows,
    analyzeMicrosecondsPerMessage: (few.analyzeCpu / rows) * 1e6,
    analyzeMicrosecondsPerMessageAndGroup: (many.analyzeCpu / rows) * 1e6,
    databaseMillisecondsPerFrame: (few.databaseCpu / few.frames) * 1e3,
    databaseMicrosecondsPerGroup: ((many.databaseCpu - few.databaseCpu) / rows) * 1e6,
    databaseLogBytesPerFrame: few.logBytes / few.frames,
    databaseLogBytesPerGroup: (many.logBytes - few.logBytes) / rows,
    databaseBytesPerGroup: groupBytes / madeGroups,
  });
  await store.close();
} finally {
  await client.end();
  await postgres.stop();
}
