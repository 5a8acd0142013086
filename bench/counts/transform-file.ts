import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { InMemoryObjectSource } from '../../src/adapters/inmemory/object-source.ts';
import { loadPipeline } from '../../src/entrypoints/cli/load-pipeline.ts';
import { transformLake, type InProcessOptions } from '../contenders/sluice-in-process.ts';
import { CollectingSink } from '../harness/collecting-sink.ts';
import type { Counts } from '../harness/contender.ts';

/** Transforms a file as an object of a lake in memory: frames name their object, and where the repository lies must not be counted. */
export async function transformFile({ pipeline: file, location, where }: InProcessOptions): Promise<Counts> {
  const { pipeline } = await loadPipeline(file);
  const lake = new InMemoryObjectSource();
  lake.put({ bucket: 'lake', key: path.basename(location) }, await readFile(location));
  const options = { location: 'lake', lake, sink: new CollectingSink(false) };
  return transformLake(pipeline, where === undefined ? options : { ...options, where });
}
