import 'reflect-metadata/lite';
import { Container, type ContainerModule } from 'inversify';
import type { InMemoryMetrics } from '../../adapters/inmemory/metrics.ts';
import { ambientModule, deliveryModule, inMemoryTokens } from '../../adapters/inmemory/module.ts';
import {
  localKilledRowsModule,
  localLakeModule,
  localLedgerModule,
  localResultsModule,
  type LocalLakeOptions,
} from '../../adapters/local/module.ts';
import type { LocalObjectSource } from '../../adapters/local/object-source.ts';
import { tokens } from '../../adapters/tokens.ts';
import { mergeStates } from '../../application/measures/state.ts';
import { toTaggedJson } from '../../application/values/tagged-json.ts';
import { decodeValue } from '../../application/values/value-reader.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import { lakeOfFilesAndS3, openS3Calls } from './lake.ts';
import type { Reading, Runtime } from './runtime.ts';

export interface RuntimeOptions {
  /** Folder of results and failures. */
  readonly out: string;
  /** What keeps the results instead of the folder: `postgres://…`, or `s3://bucket/prefix`. */
  readonly database?: string | undefined;
  /** The pipeline's partitions. Default 1: for commands that send nothing. */
  readonly partitions?: number;
  /** Whether to make the results file where there is none. */
  readonly create: boolean;
  readonly log: NonNullable<LocalLakeOptions['log']>;
}

/** Frames between transform and analyze, in bytes: enough to keep both at work, and no more to hold or to do again after a crash. */
const STREAM_BYTES = 16 * 1024 * 1024;

/** A dead letter must show soon: here nobody looks at a queue of them. */
const MAX_RECEIVES = 5;

/**
 * Makes everything that a command works with: files, SQLite and the in-memory stream and queue. A start that
 * fails leaves nothing behind; another attempt makes a new container.
 *
 * @throws InfrastructureError `E_OUTPUT`, `E_STORE_BUSY`
 */
export async function startRuntime({
  out,
  database,
  partitions = 1,
  create,
  log,
}: RuntimeOptions): Promise<Runtime> {
  const container = new Container();
  container.bind(tokens.mergeStates).toConstantValue(mergeStates);
  container.load(
    ambientModule(),
    deliveryModule({
      stream: { partitions, capacityBytes: STREAM_BYTES },
      queue: { maxReceives: MAX_RECEIVES },
    }),
    localLakeModule({ outputFolder: out, log }),
    localKilledRowsModule(out),
    localLedgerModule({
      outputFolder: out,
      payloadToJson: (payload) => toTaggedJson(decodeValue(payload)),
    }),
    database === undefined
      ? localResultsModule({ outputFolder: out, createResults: create })
      : await resultsElsewhere(database, container),
  );
  const store = await container.getAsync(tokens.resultStore);
  const queue = container.get(inMemoryTokens.queue);
  return {
    out,
    files: container.get(tokens.objectSource) as LocalObjectSource,
    source: lakeIn(container),
    store,
    stream: container.get(inMemoryTokens.stream),
    queue,
    tasks: queue,
    dedup: container.get(tokens.dedupStore),
    killed: container.get(tokens.killedRows),
    router: container.get(tokens.errorRouter),
    clock: container.get(tokens.clock),
    random: container.get(tokens.random),
    log: container.get(tokens.log),
    metrics: container.get(tokens.metrics) as InMemoryMetrics,
    close: () => store.close(),
  };
}

/** Makes what looking at the lake needs: no results, no output folder. */
export function startReading(): Reading {
  const container = new Container();
  container.load(ambientModule(), localLakeModule({ log: { level: 'warn' } }));
  return {
    source: lakeIn(container),
    metrics: container.get(tokens.metrics) as InMemoryMetrics,
  };
}

function lakeIn(container: Container): ObjectSource {
  const ports = {
    clock: container.get(tokens.clock),
    random: container.get(tokens.random),
    metrics: container.get(tokens.metrics),
  };
  return lakeOfFilesAndS3(container.get(tokens.objectSource), ports);
}

/** Loaded here, so that nobody pays for a client who needs none. */
async function resultsElsewhere(place: string, container: Container): Promise<ContainerModule> {
  const onS3 = /^s3:\/\/([^/]+)(?:\/(.*))?$/.exec(place);
  if (onS3 === null) {
    const { postgresResultsModule } = await import('../../adapters/postgres/module.ts');
    return postgresResultsModule({ url: place });
  }
  const [, bucket = '', folder = ''] = onS3;
  const { awsResultsModule, awsTokens } = await import('../../adapters/aws/module.ts');
  container.bind(awsTokens.s3).toConstantValue(await openS3Calls());
  return awsResultsModule({ bucket, prefix: folder === '' || folder.endsWith('/') ? folder : `${folder}/` });
}
